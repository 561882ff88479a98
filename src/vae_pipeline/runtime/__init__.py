"""An exported bundle in use, by numpy and onnxruntime alone.

Each name is imported when it is first asked for: training reads one module of this package, and needs no onnxruntime.
"""

import importlib
from typing import TYPE_CHECKING, Any

from vae_pipeline.system.installed import require_one_version

if TYPE_CHECKING:
    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.runtime.choosing import Choice
    from vae_pipeline.runtime.detection import Detection, alarms
    from vae_pipeline.runtime.inference import Encoding, Scores
    from vae_pipeline.runtime.morphs import Morph
    from vae_pipeline.runtime.paths import path_between

__all__ = ["Bundle", "Choice", "Detection", "Encoding", "Morph", "Scores", "alarms", "path_between"]

_HOMES = {
    "Bundle": "bundle",
    "Choice": "choosing",
    "Detection": "detection",
    "Encoding": "inference",
    "Morph": "morphs",
    "Scores": "inference",
    "alarms": "detection",
    "path_between": "paths",
}

require_one_version()


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
