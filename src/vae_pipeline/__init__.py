"""A production training pipeline for Variational Autoencoders, on the command line (`vae-pipeline`) and from Python.

`import vae_pipeline` costs nothing: each name is imported when it is first asked for. `Bundle` needs numpy and
onnxruntime alone; the estimators need torch.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from vae_pipeline.system.version import __version__

if TYPE_CHECKING:
    from vae_pipeline.estimators.denoiser import Denoiser
    from vae_pipeline.estimators.detector import VAEDetector
    from vae_pipeline.estimators.loading import load
    from vae_pipeline.estimators.synthesizer import VAESynthesizer
    from vae_pipeline.estimators.vae import VAE
    from vae_pipeline.recipe import Recipe
    from vae_pipeline.runtime.bundle import Bundle

# onnxruntime 1.32 reports its use to its maker, from the moment that it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["VAE", "Bundle", "Denoiser", "Recipe", "VAEDetector", "VAESynthesizer", "__version__", "load"]

_HOMES = {
    "Bundle": "vae_pipeline.runtime.bundle",
    "Denoiser": "vae_pipeline.estimators.denoiser",
    "Recipe": "vae_pipeline.recipe",
    "VAE": "vae_pipeline.estimators.vae",
    "VAEDetector": "vae_pipeline.estimators.detector",
    "VAESynthesizer": "vae_pipeline.estimators.synthesizer",
    "load": "vae_pipeline.estimators.loading",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        from vae_pipeline.system.errors import lacking  # noqa: PLC0415 (errors alone cost what they need)

        raise ImportError(f"{name}: {lacking(error)}") from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
