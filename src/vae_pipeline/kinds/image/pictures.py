"""Arrays of [channels, height, width] to PNG grids and GIFs."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vae_pipeline.system.files import replace_file

Pixels = npt.NDArray[np.uint8]


def to_pixels(images: npt.NDArray[Any], low: float, high: float) -> Pixels:
    """Map values in [low, high] to 0..255; what lies outside is clipped."""
    scaled = (images.astype(np.float64) - low) / (high - low)
    pixels: Pixels = np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)
    return pixels


def tile(pixels: Pixels, columns: int, side: int = 0, gap: int = 2, group: int = 1, ground: int = 255) -> Pixels:
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
    sheet = np.full((channels, tall, columns * (width + gap) + gap), ground, np.uint8)
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


def save_picture(path: Path, pixels: Pixels) -> None:
    """Write one picture as a .png, as large as it is."""
    buffer = io.BytesIO()
    to_image(pixels).save(buffer, "PNG", optimize=True)
    replace_file(path, buffer.getvalue())


def save_sheet(path: Path, pixels: Pixels, columns: int, side: int = 0, group: int = 1) -> None:
    """Write pictures as one, laid out by `tile`; what is between them is transparent, for light pages and dark ones."""
    sheet = to_image(tile(pixels, columns, side, group=group))
    sheet.putalpha(to_image(tile(np.full_like(pixels, 255), columns, side, group=group, ground=0)).convert("L"))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    replace_file(path, buffer.getvalue())


def save_gif(path: Path, frames: Sequence[Pixels], frame_s: float = 0.08, endless: bool = True) -> None:
    """Write a film of pictures of [channels, height, width], endless or seen once."""
    first, *rest = [to_image(frame) for frame in frames]
    buffer = io.BytesIO()
    again = {"loop": 0} if endless else {}
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=round(frame_s * 1000), **again)
    replace_file(path, buffer.getvalue())
