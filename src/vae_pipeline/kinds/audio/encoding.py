"""Recordings as a file that any player plays."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.audio.spec import AudioSpec
from vae_pipeline.system.files import replace_file


def as_wav(x: npt.NDArray[np.float32], spec: AudioSpec) -> bytes:
    """Recordings [n, channels, length], one after the other, as a .wav of 16 bits; they are clipped to [-1, 1]."""
    import soundfile  # noqa: PLC0415 (it costs only those who write sound)

    buffer = io.BytesIO()
    frames = x.swapaxes(1, 2).reshape(-1, spec.channels).clip(-1, 1)
    soundfile.write(buffer, frames, spec.rate_hz, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def save_recordings(path: Path, x: npt.NDArray[np.float32], spec: AudioSpec) -> None:
    """Write recordings [n, channels, length], one after the other, as a .wav of 16 bits."""
    replace_file(path, as_wav(x, spec))
