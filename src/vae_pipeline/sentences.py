"""How the words of a sentence are chosen; it is `vae_pipeline.runtime.Choice`, and this the name it had before."""

from vae_pipeline.runtime.choosing import Choice

__all__ = ["Choice"]
