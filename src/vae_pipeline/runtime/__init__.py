"""An exported bundle in use, by numpy and onnxruntime alone."""

from vae_pipeline.runtime.bundle import Bundle, Detection, Encoding, Scores, alarms, path_between
from vae_pipeline.runtime.sentences import Choice

__all__ = ["Bundle", "Choice", "Detection", "Encoding", "Scores", "alarms", "path_between"]
