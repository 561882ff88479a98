"""ImageArray: an array of images that a notebook shows."""

import io
import math
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.image.pictures import tile, to_image, to_pixels

SHOWN, COLUMNS, SIDE = 64, 16, 56  # images at most, beside each other, and the pixels of one, at about
AXES = {"hw": 2, "chw": 3, "hwc": 3}


class ImageArray(np.ndarray[Any, np.dtype[Any]]):
    """Images [examples, ...], or a single one: an array like any other, which a notebook shows as a sheet."""

    layout = ""
    low, high = 0.0, 1.0

    @classmethod
    def of(cls, images: npt.NDArray[Any], layout: str, low: float, high: float) -> Self:
        """Images laid out as "hw", "chw" or "hwc" say, whose black is `low` and whose white is `high`."""
        pictures = np.asarray(images).view(cls)
        pictures.layout, pictures.low, pictures.high = layout, low, high
        return pictures

    def __array_finalize__(self, origin: npt.NDArray[Any] | None) -> None:
        if isinstance(origin, ImageArray):
            self.layout, self.low, self.high = origin.layout, origin.low, origin.high

    def __reduce__(self) -> Any:
        """Pickle what is beside the values, too."""
        return ImageArray.of, (np.asarray(self), self.layout, self.low, self.high)

    def _repr_png_(self) -> bytes | None:
        """A sheet of the first images; nothing for an array that holds no image any more."""
        axes = AXES.get(self.layout)
        if axes is None or self.ndim not in (axes, axes + 1) or 0 in self.shape or self.dtype.kind not in "biuf":
            return None
        images = np.asarray(self)[None] if self.ndim == axes else np.asarray(self)[:SHOWN]
        if self.layout == "hw":
            images = images[:, None]
        elif self.layout == "hwc":
            images = images.transpose(0, 3, 1, 2)
        columns = min(COLUMNS, max(math.ceil(math.sqrt(len(images))), min(len(images), 8)))
        content = io.BytesIO()
        to_image(tile(to_pixels(images, self.low, self.high), columns, SIDE)).save(content, "PNG", optimize=True)
        return content.getvalue()
