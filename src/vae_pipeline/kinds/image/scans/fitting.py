"""A decoded scan's image in the units and the size that a model takes."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vae_pipeline.kinds.image.decoding import Resize, fitted
from vae_pipeline.kinds.image.scans.decoded import Decoded

Array = npt.NDArray[Any]


def within_range(decoded: Decoded, place: int, low: float, high: float) -> Array:
    """An image as large as it is: greys [1, height, width] of float64 in a range, or colours [3, height, width]."""
    image = decoded.images[place]
    if decoded.coloured:
        return np.asarray(image.transpose(2, 0, 1))
    greys = image.clip(low, high)
    return np.asarray((low + high - greys if decoded.inverted else greys)[None])


def brought_to(image: Array, shown: str, shape: tuple[int, int, int], resize: Resize, low: float, high: float) -> Array:
    """An image in its range, brought to [channels, height, width]: greys of float32, or colours of uint8.

    Raises:
        DataError: it is of another size, and `resize` is `none`.
    """
    _, height, width = shape
    if image.shape[0] == 3:
        return np.asarray(fitted(Image.fromarray(image.transpose(1, 2, 0)), shown, (width, height), resize)).transpose(
            2, 0, 1
        )
    (greys,) = image
    if greys.shape != (height, width):  # black is 0 in the border that is padded with
        above = Image.fromarray((greys - low).astype(np.float32))
        greys = np.asarray(fitted(above, shown, (width, height), resize), np.float64) + low
    return np.asarray(greys.clip(low, high)[None].astype(np.float32))
