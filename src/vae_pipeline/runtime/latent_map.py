"""The map of latents that a bundle speaks of: its size beside an image, what depends on what, its numbers' spread."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.system.errors import DataError

MOST = 2**16  # of any count
CODEBOOK = 2**24  # codes
SLACK = 1e-3  # of a level, by which float32 may miss it
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class LatentMapEntry:
    """The map of latents of a model that takes images of any size, and how its numbers are spread."""

    channels: int
    factor: int
    """The factor by which the map's sides are smaller than the image's."""
    encoder_radius: int | None
    """Pixels beyond its own factor x factor that a place of the map may depend on; None for all."""
    decoder_radius: int | None
    """Places of the map beyond its own that a pixel may depend on; None for all."""
    mean: tuple[float, ...]
    """E[z] of each channel."""
    deviation: tuple[float, ...]
    """The standard deviation of z of each channel, over images, places and draws of q(z|x)."""
    images: int
    """Images of the training part that both are of."""
    levels: tuple[int, ...] = ()
    """The number of levels of each channel, where the map is of codes; empty where its numbers may take any value."""

    def __post_init__(self) -> None:
        radii = [radius for radius in (self.encoder_radius, self.decoder_radius) if radius is not None]
        if not all(1 <= value <= MOST for value in (self.channels, self.factor, self.images, *radii)):
            raise ValueError(f"channels, factor, radii and images are counts from 1 to {MOST}")
        if not len(self.mean) == len(self.deviation) == self.channels:
            raise ValueError(f"mean and deviation are of {len(self.mean)} and {len(self.deviation)} channels")
        if self.levels and (
            len(self.levels) != self.channels or min(self.levels) < 2 or math.prod(self.levels) > CODEBOOK
        ):
            raise ValueError(f"levels are {list(self.levels)}; wanted 2 or more for each channel, or none")
        if not all(math.isfinite(value) for value in self.mean) or not all(
            0 < value < math.inf for value in self.deviation
        ):
            raise ValueError("mean and deviation are to be finite, and the deviation over 0")

    @property
    def bounded(self) -> bool:
        """True if places and pixels depend on what is near them alone, so that tiles can be exact."""
        return self.encoder_radius is not None and self.decoder_radius is not None

    @property
    def scale_factor(self) -> float:
        """1 / the deviation of all numbers of a map, as the AutoencoderKL of diffusers means it."""
        count, mean = self.channels, sum(self.mean) / self.channels
        spread = sum(d**2 + (m - mean) ** 2 for d, m in zip(self.deviation, self.mean, strict=True)) / count
        return 1 / math.sqrt(spread)

    def indices(self, codes: Array) -> Array:
        """The number of each code of a map [..., channels, rows, columns] in the codebook, [..., rows, columns].

        Raises:
            DataError: the map isn't of codes, or these are none.
        """
        levels, half = self._levels()
        if np.ndim(codes) < 3 or np.shape(codes)[-3] != self.channels:
            raise DataError(
                f"codes of shape {list(np.shape(codes))} were given; wanted [..., {self.channels}, rows, columns]"
            )
        numbers = np.asarray(codes, np.float64) * half + half
        level = np.rint(numbers)
        if not (np.abs(numbers - level) < SLACK).all() or (level < 0).any() or (level >= levels).any():
            raise DataError("numbers that are no codes were given; wanted what `encode_map` gives, not scaled")
        places = np.cumprod([1, *self.levels[:-1]]).reshape(levels.shape)
        return np.asarray((level.astype(np.int64) * places).sum(-3))

    def codes(self, indices: Array) -> Array:
        """The codes [..., channels, rows, columns] of numbers [..., rows, columns] in the codebook.

        Raises:
            DataError: the map isn't of codes, or a number is beyond the codebook.
        """
        levels, half = self._levels()
        size, number = math.prod(self.levels), np.asarray(indices)
        if number.dtype.kind not in "iu" or (number < 0).any() or (number >= size).any():
            raise DataError(f"indices are whole numbers from 0 to {size - 1}; others were given")
        places = np.cumprod([1, *self.levels[:-1]]).reshape(levels.shape)
        level = number[..., None, :, :].astype(np.int64) // places % levels
        return np.asarray((level - half) / half, np.float32)

    def _levels(self) -> tuple[Array, Array]:
        """Levels, and the one that stands for 1, to go with maps."""
        if not self.levels:
            raise DataError("this map of latents is not of codes: its numbers may take any value")
        levels = np.array(self.levels)[:, None, None]
        return levels, levels // 2

    def padded(self, x: Array) -> Array:
        """Images [examples, channels, height, width] whose last row and column are repeated till the factor divides."""
        missing = [-side % self.factor for side in x.shape[2:]]
        return np.pad(x, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])), mode="edge") if any(missing) else x

    def require_divided(self, x: Array) -> None:
        """Refuse images for the graph itself whose sides the factor doesn't divide; `encode_map` pads them.

        Raises:
            DataError: there is such a side.
        """
        if any(side % self.factor for side in x.shape[2:]):
            raise DataError(
                f"x: images of {x.shape[2]} x {x.shape[3]} were given; the graph takes sides that {self.factor} "
                "divides: repeat the last row and column, and crop the answer"
            )
