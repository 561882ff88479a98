"""Recordings brought to one length: cropped or cut into windows, and what is shorter padded with silence."""

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from vae_pipeline.kinds.audio.decoding import Recording, Samples, read_recording
from vae_pipeline.kinds.audio.spec import AudioSpec
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.parts import Array, Indices
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


@dataclass(frozen=True)
class WindowedRows:
    """Windows of recordings as rows of [channels, length]: those of a recording follow each other."""

    recordings: Listing
    counts: Indices
    """The number of windows of each recording."""
    spec: AudioSpec

    @cached_property
    def owners(self) -> Indices:
        """The recording of each row."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def __len__(self) -> int:
        return len(self.owners)

    def __getitem__(self, indices: Indices) -> Array:
        owners = self.owners[indices]
        places = indices - np.searchsorted(self.owners, owners)
        rows: list[Any] = []
        for owner, some in groupby(zip(owners, places, strict=True), key=itemgetter(0)):  # each is decoded once
            name = self.recordings.names[owner]
            found = read_for(self.recordings.read(name), f"{self.recordings.place}/{name}", self.spec)
            whole = windows(found.x, self.spec)
            rows += [whole[place] for _, place in some]
        return np.stack(rows)
