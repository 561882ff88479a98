"""ImageSpec: the shape, range and classes of images, as a model must know them."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.stored import StoredSpec
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
LARGEST = 2**28  # values of an image
LEVELS = (0.0, 65536.0)
"""The range of greys of 16 bits."""
ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""A value of float32 may lie outside by this share of the larger bound, and still be that bound, rounded."""


def within(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[Any] | None:
    """The values, those that rounding put outside of [low, high] brought back to it; None where others lie outside."""
    slack = ROUNDING * max(abs(low), abs(high))
    least, most = float(values.min()), float(values.max())
    if least < low - slack or most > high + slack:
        return None
    return values if low <= least and most <= high else values.clip(low, high)


@dataclass(frozen=True)
class ScanReading:
    """The way in which images were read from medical scans, as a new scan is to be read too."""

    windowed: bool
    """True if greys are those of the window that each DICOM file stores."""
    plane: Literal["axial", "coronal", "sagittal"]
    """The plane of a volume's slices."""
    first: float
    """The share of a scan's images that is left out before the first one."""
    last: float
    """The share at which the last one lies."""
    resize: Literal["none", "stretch", "crop", "pad"]
    """The way in which images of another size were brought to the data's."""


@dataclass(frozen=True)
class ImageSpec(StoredSpec):
    """Images as they lie on disk: [channels, height, width], unscaled."""

    shape: tuple[int, int, int]
    dtype: str
    """`uint8` or `float32`."""
    low: float
    high: float
    """The range of the values, which the model maps to [0, 1]."""
    binary: bool
    """True if only `low` and `high` occur, so that a Bernoulli likelihood is a true probability."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; empty where there are none."""
    levels: tuple[float, float] = LEVELS
    """For picture files with greys of over 8 bits: the value that becomes 0, and the one at which 256 would begin."""
    attributes: tuple[str, ...] = ()
    """Names of what each image may show or not, such as a smile, whatever its class; empty where none are known."""
    crop: int | None = None
    """For picture files of another size: the side of the square that is cut out of the middle; None for none."""
    noisy: bool = False
    """True if values beyond `low` and `high`, and between whole numbers, are taken: of a model that denoises."""
    scans: ScanReading | None = field(default=None, compare=False)
    """The way in which images were read from scans; None of other files. Specs that differ in it alone are equal."""
    kind: str = "image"

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return self.shape

    @property
    def dimensions(self) -> int:
        """Number of values in one observation."""
        return math.prod(self.shape)

    @property
    def absent(self) -> tuple[str, ...]:
        """Texts that stand for a missing value: none can be."""
        return ()

    @property
    def suffix(self) -> str:
        """The suffix of the files in which a person looks at observations."""
        return ".png"

    @property
    def largest(self) -> int:
        """The most numbers that a graph computes of one observation in one place."""
        return self.dimensions

    @property
    def takes_any_value(self) -> bool:
        """True if every value of the dtype can occur, so that arrays of it needn't be looked through."""
        return self.dtype == "uint8" and self.low <= 0 and self.high >= 255

    @property
    def unit(self) -> float:
        """The width of the values' range, relative to which their differences are taken."""
        return self.high - self.low

    def checked(self, x: Array, first: int, centred: bool) -> Array:  # noqa: ARG002
        """Values of the spec's dtype, in its range.

        Raises:
            DataError: they hold values that can't occur.
        """
        whole = x.dtype.kind in "biu"
        if not whole and not np.isfinite(x).all():
            raise DataError("the observations hold NaN or infinity: clean them first")
        if self.noisy:
            return np.ascontiguousarray(x.astype(self.dtype))
        inside = within(x, self.low, self.high)
        if inside is None:
            raise DataError(
                f"observations from {x.min():.7g} to {x.max():.7g} were given; this model takes raw values in "
                f"[{self.low:g}, {self.high:g}]"
            )
        if self.dtype == "uint8" and not whole and not np.array_equal(inside, np.rint(inside)):
            raise DataError(
                f"the observations aren't whole numbers; this model takes raw uint8 values in "
                f"[{self.low:g}, {self.high:g}] (scaling is part of it)"
            )
        return np.ascontiguousarray(inside.astype(self.dtype))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; a field that came later is left out where it says nothing."""
        values = super().to_dict()
        return {
            name: value
            for name, value in values.items()
            if value or name not in ("attributes", "crop", "noisy", "scans")
        }

    def metadata(self) -> dict[str, Any]:
        """A graph's metadata on raw values."""
        return {"vae.range": [self.low, self.high]}

    def _validate(self) -> None:
        if self.kind != "image":
            known = "'image', 'audio', 'table' or 'text'"
            raise ValueError(f"this version reads data of kind {known}; given {self.kind!r}")
        if not 0 < min(self.shape) <= self.dimensions <= LARGEST:
            raise ValueError(
                f"shape is {list(self.shape)}; wanted channels, height and width, {LARGEST:,} values at most"
            )
        if self.dtype not in ("uint8", "float32"):
            raise ValueError(f"dtype is {self.dtype!r}; wanted uint8 or float32")
        if self.low >= self.high or self.levels[0] >= self.levels[1]:
            raise ValueError(
                f"the range is {self.low} to {self.high}, the levels {list(self.levels)}; wanted the lower one first"
            )
