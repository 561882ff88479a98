"""A detector of anomalies in rows of a table, in scikit-learn's manner."""

from vae_pipeline.detector.estimator import VAEDetector

__all__ = ["VAEDetector"]
