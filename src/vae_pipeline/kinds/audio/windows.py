"""Recordings brought to one length: cropped or cut into windows, and what is shorter padded with silence."""

import numpy as np

from vae_pipeline.kinds.audio.decoding import Recording, Samples, read_recording
from vae_pipeline.kinds.audio.spec import AudioSpec
from vae_pipeline.system.errors import DataError


def read_for(content: bytes, name: str, spec: AudioSpec) -> Recording:
    """Decode a recording as a spec has it: its rate, its channels and, where the rest isn't wanted, its length.

    Raises:
        CorruptFileError, DataError: as `read_recording`, or it has another number of channels and these aren't mixed.
    """
    length = spec.length if spec.longer == "crop" else None
    found = read_recording(content, name, spec.rate_hz, spec.channels == 1, length)
    if len(found.x) != spec.channels:
        raise DataError(
            f"{name} has {len(found.x)} channels, and {spec.channels} are wanted: leave it out, or set "
            "data.channels to mono, which mixes them"
        )
    return found


def count_windows(samples: int, spec: AudioSpec) -> int:
    """The number of windows that so many samples of the spec's rate become; the last may be padded."""
    return 1 if spec.longer == "crop" else max(1, -(-samples // spec.length))


def windows(x: Samples, spec: AudioSpec) -> Samples:
    """[windows, channels, length] of [channels, samples]: one after the other, the last padded with silence."""
    count = count_windows(x.shape[1], spec)
    kept = x[:, : count * spec.length]
    padded = np.pad(kept, ((0, 0), (0, count * spec.length - kept.shape[1])))
    return np.ascontiguousarray(padded.reshape(spec.channels, count, spec.length).swapaxes(0, 1))
