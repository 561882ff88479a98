"""The manifest's entry on a denoiser, and the noise of its draws."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
MOST = 2**16  # draws
LONGEST = 2**24  # samples of a state


@dataclass(frozen=True)
class StreamEntry:
    """The numbers of a graph that denoises sound in chunks; all are samples."""

    hop: int
    """A chunk is a multiple of it."""
    latency: int
    """The answer to a sample comes so many samples later."""
    context: int
    """Samples of the state: those before a chunk, which the next answer depends on."""

    def __post_init__(self) -> None:
        if not (1 <= self.hop <= self.context <= LONGEST and 0 <= self.latency <= self.context):
            raise ValueError(f"hop {self.hop}, latency {self.latency} and context {self.context} can't be")


@dataclass(frozen=True)
class DenoisingEntry:
    """The corruption that a denoiser takes away, and the calibration of its intervals."""

    mode: str
    """`supervised`, or `noisy_only` where training saw no clean observation."""
    corruption: tuple[str, ...]
    """The corruptions that it was trained on, in their order, in words."""
    draws: int
    """Draws of z whose mean is the answer; 0 for the posterior's mean alone."""
    coverage: float
    """Share of the clean values of a new observation that intervals hold, in expectation."""
    factor: float
    """The factor by which quantiles of one half of these examples were scaled, for their share of the other half."""
    examples: int
    """Validation examples that the intervals were set by."""
    stream: StreamEntry | None = None
    """None where the graph denoise_stream is missing, as it is of images."""

    def __post_init__(self) -> None:
        if not (0 <= self.draws <= MOST and self.examples >= 1):
            raise ValueError(f"draws are {self.draws} and examples {self.examples}; wanted 0 or more, and 1 or more")
        if not (0 < self.coverage < 1 and self.factor >= 0):
            raise ValueError("coverage is a share, and the factor 0 or more")


def noise_of(draw: int, shape: tuple[int, ...]) -> Array:
    """The noise of one draw, which every example and every image of one size shares."""
    return np.random.default_rng(draw).standard_normal(shape).astype(np.float32)
