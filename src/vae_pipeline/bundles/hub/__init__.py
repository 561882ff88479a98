"""Bundles on the Hugging Face Hub: pushed as a repository of a model, and fetched by `hf://OWNER/NAME@REVISION`.

from vae_pipeline.bundles.hub import fetch
from vae_pipeline.runtime.bundle import Bundle
bundle = Bundle.load(fetch("hf://owner/digits").folder)
"""

from vae_pipeline.bundles.hub.fetching import Fetched, fetch
from vae_pipeline.bundles.hub.pushing import Pushed, push

__all__ = ["Fetched", "Pushed", "fetch", "push"]
