"""Images as a person holds them in memory, to rows of [channels, height, width] and back."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.estimators.image_array import ImageArray
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.system.errors import InputError

Array = npt.NDArray[Any]
Layout = Literal["hw", "chw", "hwc"]
"""The axes of one image: height and width of a grey one, with channels before them, or behind."""
MOST_CHANNELS = 4
"""An axis of so few is the channels'."""


def layout_of(images: Array) -> Layout:
    """The layout of images [examples, ...] whose model isn't known yet.

    Raises:
        InputError: it is neither, or may be both.
    """
    if images.ndim == 3:
        return "hw"
    first, last = images.shape[1] <= MOST_CHANNELS, images.shape[3] <= MOST_CHANNELS
    if first and last:
        raise InputError(
            f"X has the shape {list(images.shape)}, whose channels may be the second axis or the last: grey images are "
            f"taken as [examples, height, width], others with {MOST_CHANNELS + 1} pixels a side or more"
        )
    return "hwc" if last else "chw"


def arranged(images: Array, layout: Layout) -> Array:
    """[examples, channels, height, width] of uint8 or float32.

    Raises:
        InputError: the values aren't real numbers.
    """
    if images.dtype.kind not in "biuf":
        raise InputError(f"X holds values of type {images.dtype}: images of real numbers are wanted")
    match layout:
        case "hw":
            images = images[:, None]
        case "hwc":
            images = images.transpose(0, 3, 1, 2)
        case "chw":
            pass
    whole = images.dtype.kind in "biu" and images.size and images.min() >= 0 and images.max() <= 255
    return np.ascontiguousarray(images.astype(np.uint8 if whole else np.float32, copy=False))


def fitting(images: Array, spec: ImageSpec, layout: Layout) -> Array:
    """Images for a model that is known, laid out as those of `fit`, or in another way that fits its shape."""
    channels, height, width = spec.shape
    known: dict[Layout, tuple[int, ...]] = {
        "hw": (height, width) if channels == 1 else (),
        "chw": spec.shape,
        "hwc": (height, width, channels),
    }
    for each in (layout, *known):
        if images.shape[1:] == known[each]:
            return arranged(images, each)
    raise InputError(f"X has the shape {list(images.shape)}; this model takes [examples, *{list(known[layout])}]")


def given_back(x: Array, spec: ImageSpec, layout: Layout) -> ImageArray:
    """Values [examples, channels, height, width] in the layout of `fit`, which shows itself as pictures."""
    match layout:
        case "hw":
            x = x[:, 0]
        case "hwc":
            x = x.transpose(0, 2, 3, 1)
        case "chw":
            pass
    return ImageArray.of(x, layout, spec.low, spec.high)
