"""Pictures in and out: files to arrays of [channels, height, width], arrays to PNG grids and GIFs."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from vae_pipeline.errors import DataError
from vae_pipeline.files import replace_file

Pixels = npt.NDArray[np.uint8]
Resize = Literal["none", "stretch", "crop", "pad"]
SUFFIXES = (".png", ".jpg", ".jpeg")


class CorruptPictureError(DataError):
    """A picture is truncated or corrupt."""


def read_picture(content: bytes, name: str, shape: tuple[int, int, int], resize: Resize) -> Pixels:
    """Decode a PNG or JPEG of any mode and bring it to `shape` [channels, height, width], values 0..255.

    Transparent parts are laid on white; 16-bit greys keep their upper 8 bits; the camera's orientation is
    applied.

    Raises:
        CorruptPictureError: the picture is truncated or corrupt.
        DataError: it is of another size, and `resize` is `none`.
    """
    channels, height, width = shape
    picture = _decode(content, name, "L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = _to_size(picture, name, (width, height), resize, Image.Resampling.LANCZOS)
    pixels: Pixels = np.asarray(picture, np.uint8)
    return pixels.reshape(1, height, width) if channels == 1 else pixels.transpose(2, 0, 1)


def read_mask(content: bytes, name: str, size: tuple[int, int], resize: Resize) -> Pixels:
    """Decode a mask and bring it to `size` [height, width]: 1 in each pixel that a value above 0 falls into, else 0.

    Raises:
        CorruptPictureError, DataError: as `read_picture`.
    """
    height, width = size
    mask = _decode(content, name, "L").point(lambda value: 255 if value > 0 else 0)
    if mask.size != (width, height):
        mask = _to_size(mask, name, (width, height), resize, Image.Resampling.BOX)
    return (np.asarray(mask) > 0).astype(np.uint8)


def _decode(content: bytes, name: str, mode: str) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content), formats=["PNG", "JPEG"]) as opened:
            opened.load()
            return _to_mode(ImageOps.exif_transpose(opened), mode)
    except UnidentifiedImageError as error:
        raise CorruptPictureError(f"{name} is a truncated or corrupt picture, or no PNG or JPEG") from error
    except Exception as error:  # a decoder of damaged bytes raises whatever it does
        raise CorruptPictureError(f"{name} is a truncated or corrupt picture ({error})") from error


def _to_mode(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8)).convert(mode)
    if "A" in picture.mode or "transparency" in picture.info:
        ground = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(ground, picture.convert("RGBA")).convert(mode)
    return picture.convert(mode)


def _to_size(
    picture: Image.Image, name: str, size: tuple[int, int], resize: Resize, method: Image.Resampling
) -> Image.Image:
    match resize:
        case "none":
            raise DataError(
                f"{name} is {picture.width}x{picture.height} pixels, but {size[0]}x{size[1]} (width x height) "
                "are wanted: set resize to stretch, crop or pad, or give pictures of that size"
            )
        case "stretch":
            return picture.resize(size, method)
        case "crop":
            return ImageOps.fit(picture, size, method)
        case "pad":
            return ImageOps.pad(picture, size, method)


def to_pixels(images: npt.NDArray[Any], low: float, high: float) -> Pixels:
    """Map values in [low, high] to 0..255; what lies outside is clipped."""
    scaled = (images.astype(np.float64) - low) / (high - low)
    pixels: Pixels = np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)
    return pixels


def tile(pixels: Pixels, columns: int, side: int = 0, gap: int = 2, group: int = 1) -> Pixels:
    """Lay [n, channels, height, width] out as one picture of `columns`, each enlarged to about `side`.

    After every `group` rows comes a gap that is wider, where `group` is over 1.
    """
    count, channels, height, width = pixels.shape
    factor = max(1, round(side / max(height, width)))
    big = pixels.repeat(factor, axis=2).repeat(factor, axis=3)
    height, width = height * factor, width * factor
    rows = -(-count // columns)
    wider = 4 * gap if group > 1 else 0
    tall = rows * (height + gap) + gap + (rows - 1) // group * wider
    sheet = np.full((channels, tall, columns * (width + gap) + gap), 255, np.uint8)
    for index, image in enumerate(big):
        row = index // columns
        top = gap + row * (height + gap) + row // group * wider
        left = gap + index % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = image
    return sheet


def to_image(pixels: Pixels) -> Image.Image:
    """A Pillow image of [channels, height, width]; other than 3 channels are laid side by side in grey."""
    if pixels.shape[0] == 3:
        return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    return Image.fromarray(np.ascontiguousarray(np.concatenate(list(pixels), axis=1)))


def save_png(path: Path, pixels: Pixels) -> None:
    """Write one picture of [channels, height, width]."""
    buffer = io.BytesIO()
    to_image(pixels).save(buffer, "PNG", optimize=True)
    replace_file(path, buffer.getvalue())


def save_gif(path: Path, frames: Sequence[Pixels], frame_s: float = 0.08) -> None:
    """Write an endless film of pictures of [channels, height, width]."""
    first, *rest = [to_image(frame) for frame in frames]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=round(frame_s * 1000), loop=0)
    replace_file(path, buffer.getvalue())
