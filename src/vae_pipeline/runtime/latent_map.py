"""The map of latents that a bundle speaks of: its size beside an image, what depends on what, its numbers' spread."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.system.errors import DataError

MOST = 2**16  # of any count
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

    def __post_init__(self) -> None:
        radii = [radius for radius in (self.encoder_radius, self.decoder_radius) if radius is not None]
        if not all(1 <= value <= MOST for value in (self.channels, self.factor, self.images, *radii)):
            raise ValueError(f"channels, factor, radii and images are counts from 1 to {MOST}")
        if not len(self.mean) == len(self.deviation) == self.channels:
            raise ValueError(f"mean and deviation are of {len(self.mean)} and {len(self.deviation)} channels")
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
