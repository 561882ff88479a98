"""The detector of anomalies in a table: `vae_pipeline.VAEDetector`, by the path that it had before."""

from vae_pipeline.estimators.detector import VAEDetector

__all__ = ["VAEDetector"]
