"""A scan that was decoded: its images, before they have their size and range."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

MOST = 2**28
"""Values that the images of one scan have at most."""


@dataclass(frozen=True)
class Decoded:
    """The images of a scan, and what is known of its patient."""

    images: npt.NDArray[Any]
    """Greys [images, height, width] of float64, in the units of the scan or, by a stored window, in [0, 1]; or colours
    [images, height, width, 3] of uint8."""
    inverted: bool = False
    """True if low greys are shown bright (MONOCHROME1)."""
    patient: str | None = None
    """A hash of the patient's id in the header."""
    tomogram: bool = False
    """True of CT, whose greys are Hounsfield units."""
    synthetic: bool = False
    """True of what says that nobody took it."""

    @property
    def coloured(self) -> bool:
        """True if it has colours."""
        return self.images.ndim == 4

    def some(self, first: float, last: float) -> "Decoded":
        """The images from one share of them to another, one at least."""
        count = len(self.images)
        start = min(int(np.floor(first * count)), count - 1)
        return replace(self, images=self.images[start : max(start + 1, int(np.ceil(last * count)))])
