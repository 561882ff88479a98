"""The choice of a sentence's words: `vae_pipeline.runtime.Choice`, by the name that it had before."""

from vae_pipeline.runtime.choosing import Choice

__all__ = ["Choice"]
