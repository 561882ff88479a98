"""A production training pipeline for Variational Autoencoders.

The command line is `vae-pipeline`; an exported bundle is used from Python by `vae_pipeline.runtime.bundle`,
which needs numpy and onnxruntime alone.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
