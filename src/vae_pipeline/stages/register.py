"""register: a bundle into MLflow's registry, after the fact."""

import time
from collections.abc import Callable
from pathlib import Path

from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.runtime.verification import verify
from vae_pipeline.system.errors import SettingsError, TrackerError
from vae_pipeline.system.files import content_key, tree_digest
from vae_pipeline.system.settings import Settings
from vae_pipeline.system.tracking.registry import aliases_of
from vae_pipeline.system.tracking.tracker import Tracker, provenance


def register(bundle: Path, settings: Settings, warn: Callable[[str], None]) -> tuple[str, list[str]]:
    """Register a bundle under its recipe's name; returns the name and the aliases that moved to it.

    Raises:
        BundleError: it isn't whole, or its graphs don't give their golden answers.
        SettingsError: VAE_MLFLOW_URI is off.
        TrackerError: MLflow didn't take it.
    """
    if settings.mlflow_uri.lower() == "off":
        raise SettingsError("VAE_MLFLOW_URI=off: name the tracking server that is to register the bundle")
    tracker = Tracker(settings, warn)
    with tracker.sending() as send:
        verify(bundle)
        manifest = Manifest.load(bundle)
        aliases = aliases_of(settings.mlflow_promote, manifest.metrics.get("failed_gates"), warn)
        # Each time anew: an alias may have moved away since.
        journal = tracker.journal("register", content_key(tree_digest(bundle), time.time_ns()))
        journal.start(manifest.recipe, {}, provenance(manifest.recipe), weights=manifest.weights_sha256)
        journal.bundle(bundle, "bundle", manifest.recipe, aliases)
        journal.end("FINISHED")
        sent = send(journal)
    if not sent:
        raise TrackerError(f"{bundle} isn't registered yet: `vae-pipeline sync` does it once MLflow can be written")
    return manifest.recipe, aliases
