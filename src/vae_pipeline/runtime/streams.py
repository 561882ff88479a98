"""Sound denoised in chunks, so that memory doesn't grow with a recording: by the graph `denoise_stream`."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import AudioSpec
from vae_pipeline.runtime.denoising_entry import StreamEntry
from vae_pipeline.runtime.graphs import Graphs
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
Chunks = tuple[Array, Array, Array]
"""Clean samples, and the lower and upper ends of their intervals."""
CHUNK_S = 4.0
"""Seconds of a chunk of a recording that is there as a whole."""


class DenoiseStream:
    """A stream that is denoised: the samples before the first were silent."""

    def __init__(self, graphs: Graphs, count: int = 1) -> None:
        """`count` streams at once.

        Raises:
            DataError: the bundle has no stream.
        """
        self.entry, self.spec = stream_of(graphs)
        self.graphs = graphs
        self._state: Array = np.zeros((count, self.spec.channels, self.entry.context), np.float32)

    @property
    def latency(self) -> int:
        """Samples by which an answer is later than what is given."""
        return self.entry.latency

    def push(self, chunk: Array) -> Chunks:
        """Clean samples, as many as are given and later by the latency; [streams, channels, samples].

        Raises:
            DataError: the number of samples isn't a multiple of the hop, or they can't be used.
        """
        count, channels, _ = self._state.shape
        if np.ndim(chunk) != 3 or np.shape(chunk)[:2] != (count, channels):
            raise DataError(
                f"a chunk of shape {list(np.shape(chunk))} was given; wanted [{count}, {channels}, samples]"
            )
        samples = np.shape(chunk)[2]
        if samples == 0 or samples % self.entry.hop:
            raise DataError(
                f"a chunk of {samples:,} samples was given; wanted a multiple of {self.entry.hop}: keep the rest for "
                "the next one"
            )
        given = {"chunk": self.spec.checked(np.asarray(chunk), 0, False), "state": self._state}
        *found, self._state = self.graphs.run(GraphName.DENOISE_STREAM, given)
        clean, low, high = found
        return clean, low, high

    def copy(self) -> Self:
        """A stream that goes on from here by itself."""
        copied = type(self)(self.graphs, len(self._state))
        copied._state = self._state.copy()
        return copied


def stream_of(graphs: Graphs) -> tuple[StreamEntry, AudioSpec]:
    """The numbers of a bundle's stream, and the spec of its sound.

    Raises:
        DataError: it has none.
    """
    told, spec = graphs.manifest.denoising, graphs.spec
    if told is None or told.stream is None or not isinstance(spec, AudioSpec):
        raise DataError(f"{graphs.folder} has no graph denoise_stream: a recipe of sound with train.denoise gives one")
    return told.stream, spec


def denoise_recordings(graphs: Graphs, x: Array) -> Chunks:
    """Recordings [recordings, channels, samples] of one length, whatever it is; in chunks of some seconds.

    Raises:
        DataError: the bundle has no stream, or the recordings can't be used.
    """
    stream = DenoiseStream(graphs, len(x))
    hop, latency, length = stream.entry.hop, stream.latency, np.shape(x)[-1]
    size = hop * max(1, round(CHUNK_S * stream.spec.rate_hz / hop))
    ends = length + latency
    found = tuple(np.empty((*np.shape(x)[:2], length), np.float32) for _ in range(3))
    for start in range(0, ends, size):
        taken = np.asarray(x)[..., start : start + size]
        wanted = -(-min(size, ends - start) // hop) * hop
        chunk = np.pad(taken, ((0, 0), (0, 0), (0, wanted - taken.shape[-1])))
        for whole, part in zip(found, stream.push(chunk), strict=True):
            first = start - latency
            kept = part[..., max(0, -first) : max(0, length - first)]
            whole[..., max(0, first) : max(0, first) + kept.shape[-1]] = kept
        graphs.progress(0)
    clean, low, high = found
    return clean, low, high
