"""An exported bundle in use, by numpy and onnxruntime alone."""

from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.choosing import Choice
from vae_pipeline.runtime.detection import Detection, alarms
from vae_pipeline.runtime.inference import Encoding, Scores
from vae_pipeline.runtime.morphs import Morph
from vae_pipeline.runtime.paths import path_between
from vae_pipeline.system.installed import require_one_version

__all__ = ["Bundle", "Choice", "Detection", "Encoding", "Morph", "Scores", "alarms", "path_between"]

require_one_version()
