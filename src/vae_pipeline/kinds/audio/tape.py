"""Recordings of any length as one tape: the form in which noises and impulse responses lie beside the data."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.audio.decoding import LARGEST, Samples
from vae_pipeline.system.errors import DataError


@dataclass(frozen=True)
class Tape:
    """Recordings one after the other, none of them empty."""

    x: Samples
    """[channels, samples], all together."""
    ends: npt.NDArray[np.int64]
    """The sample after the last one of each."""

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def samples(self) -> int:
        """Samples of all together."""
        return int(self.ends[-1])

    def recording(self, number: int) -> Samples:
        """One of them."""
        return self.x[:, self.ends[number - 1] if number else 0 : self.ends[number]]

    def stretch(self, start: int, length: int) -> Samples:
        """`length` samples from `start` on; after its end a recording begins again."""
        number = int(np.searchsorted(self.ends, start, side="right"))
        recording = self.recording(number)
        first = self.ends[number] - recording.shape[1]
        return recording.take(np.arange(start - first, start - first + length), axis=1, mode="wrap")


def taped(recordings: list[Samples], place: str) -> Tape:
    """A tape of recordings [channels, samples].

    Raises:
        DataError: they have more samples than are held.
    """
    ends = np.cumsum([each.shape[1] for each in recordings], dtype=np.int64)
    if ends[-1] * len(recordings[0]) > LARGEST:
        raise DataError(f"{place} holds {ends[-1]:,} samples, and {LARGEST:,} values are kept: name fewer")
    return Tape(np.concatenate(recordings, axis=1), ends)
