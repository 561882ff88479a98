"""Words that a shell completes: a project's recipes and bundles; for anything else it completes files by itself."""

import os
from collections.abc import Iterable
from pathlib import Path


def completing() -> bool:
    """True while a shell waits for words, so that nothing is fetched."""
    return "_VAE_PIPELINE_COMPLETE" in os.environ


def recipes(incomplete: str) -> list[str]:
    """The recipes of this folder's project that begin so."""
    return _beginning(incomplete, Path("pipeline").glob("*.yaml"))


def bundles(incomplete: str) -> list[str]:
    """The exported bundles of this folder's project that begin so."""
    return _beginning(incomplete, (manifest.parent for manifest in Path("exports").glob("*/bundle.json")))


def _beginning(incomplete: str, paths: Iterable[Path]) -> list[str]:
    return sorted(path.as_posix() for path in paths if path.as_posix().startswith(incomplete))
