"""AudioSpec: rate, length and channels of recordings, as a model must know them."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.image.spec import LARGEST, within
from vae_pipeline.kinds.stored import StoredSpec
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
Longer = Literal["crop", "windows"]
LOUDEST = 8.0
"""A sample of floating point beyond it, 18 dB over full scale, is of another unit."""
FASTEST = 768_000
"""Samples a second of the fastest recording that is read."""


@dataclass(frozen=True)
class AudioSpec(StoredSpec):
    """Recordings as they lie on disk: [channels, length] of float32 in [-1, 1], where 1 is full scale."""

    rate_hz: int
    """Samples a second of each channel."""
    length: int
    """Samples of each channel."""
    channels: int
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; empty where there are none."""
    longer: Longer = "crop"
    """The way in which a longer file becomes recordings of this length: by its beginning alone, or in windows."""
    noisy: bool = False
    """True if samples beyond [-1, 1] are taken: of a model that denoises, as noise is added to what may be loud."""
    dtype: str = "float32"
    kind: str = "audio"

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return (self.channels, self.length)

    @property
    def dimensions(self) -> int:
        """Number of values in one observation."""
        return self.channels * self.length

    @property
    def seconds(self) -> float:
        """Duration of one observation."""
        return self.length / self.rate_hz

    @property
    def binary(self) -> bool:
        """True if two values alone occur."""
        return False

    @property
    def absent(self) -> tuple[str, ...]:
        """Texts that stand for a missing value: none can be."""
        return ()

    @property
    def suffix(self) -> str:
        """The suffix of the files in which a person looks at observations."""
        return ".wav"

    @property
    def largest(self) -> int:
        """The most numbers that a graph computes of one observation in one place."""
        return self.dimensions

    @property
    def unit(self) -> float:
        """The width of the values' range, relative to which their differences are taken."""
        return 2.0

    def checked(self, x: Array, first: int, centred: bool) -> Array:  # noqa: ARG002
        """Values of float32 in [-1, 1].

        Raises:
            DataError: they hold values that can't occur.
        """
        if not np.isfinite(x).all():
            raise DataError("the recordings hold NaN or infinity: clean them first")
        if self.noisy and np.abs(x).max(initial=0) <= LOUDEST:
            return np.ascontiguousarray(x, np.float32)
        inside = within(x, -1.0, 1.0)
        if inside is None:
            raise DataError(
                f"samples from {x.min():.7g} to {x.max():.7g} were given; this model takes sound in [-1, 1]: divide "
                "whole numbers of 16 bits by 32768"
            )
        return np.ascontiguousarray(inside, np.float32)

    def metadata(self) -> dict[str, Any]:
        """A graph's metadata on raw values."""
        return {"vae.range": [-1.0, 1.0], "vae.rate_hz": self.rate_hz}

    def _validate(self) -> None:
        if self.dtype != "float32" or self.kind != "audio":
            raise ValueError(f"kind is {self.kind!r}, dtype {self.dtype!r}; wanted audio and float32")
        if not 0 < self.rate_hz <= FASTEST:
            raise ValueError(f"rate_hz is {self.rate_hz}; wanted 1 to {FASTEST:,}")
        if min(self.channels, self.length) < 1 or self.dimensions > LARGEST:
            raise ValueError(
                f"{self.channels} channels of {self.length} samples; wanted one or more, {LARGEST:,} values at most"
            )
