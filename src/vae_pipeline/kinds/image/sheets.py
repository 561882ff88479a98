"""Sheets and films of images: grids, pairs of an image and what was made of it, ways from one image to another."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.image.pictures import save_gif, save_sheet, tile, to_pixels
from vae_pipeline.kinds.image.spec import ImageSpec
from vae_pipeline.kinds.image.video import save_video

Array = npt.NDArray[Any]
SIDE, FILM_SIDE = 56, 224  # pixels of an image on a sheet, and in a film, at about
PAIRS = 10
"""The most pairs beside each other."""


def save_grid(path: Path, images: Array, spec: ImageSpec, columns: int | None = None) -> None:
    """Write images [n, channels, height, width] in so many columns, or as a square, to a .png."""
    columns = columns or math.ceil(math.sqrt(len(images)))
    save_sheet(path, to_pixels(images, spec.low, spec.high), columns, SIDE)


def save_pairs(path: Path, images: Array, below: Array, spec: ImageSpec) -> None:
    """Write each image with its reconstruction below it to a .png; the last row is filled up with white."""
    pixels, others = (to_pixels(each, spec.low, spec.high) for each in (images, below))
    _save_pairs(path, pixels, others, blank=255)


def save_heat_maps(path: Path, images: Array, contributions: Array, spec: ImageSpec) -> None:
    """Write each image with its heat map below it to a .png; white is what the hottest of a thousand pixels has."""
    maps = contributions.sum(axis=1, keepdims=True)
    bright = np.quantile(maps, 0.999) or 1.0
    heat = to_pixels(np.repeat(maps, images.shape[1], axis=1), 0.0, bright)
    _save_pairs(path, to_pixels(images, spec.low, spec.high), heat, blank=0)


def save_film(path: Path, images: Array, spec: ImageSpec) -> None:
    """Write images as an endless film there and back to a .gif."""
    pixels = to_pixels(images, spec.low, spec.high)
    there_and_back = np.concatenate([pixels, pixels[-2:0:-1]])
    save_gif(path, [tile(frame[None], 1, FILM_SIDE, gap=0) for frame in there_and_back])


def save_sequence(path: Path, images: Array, spec: ImageSpec, fps: float, endless: bool) -> None:
    """Write images as a film, in their order, to a .gif or .mp4; `endless` is for a .gif."""
    pixels = to_pixels(images, spec.low, spec.high)
    frames = [tile(frame[None], 1, FILM_SIDE, gap=0) for frame in pixels]
    if path.suffix.lower() == ".mp4":
        save_video(path, frames, fps)
    else:
        save_gif(path, frames, 1 / fps, endless)


def _save_pairs(path: Path, above: Array, below: Array, blank: int) -> None:
    """Rows of pairs; a last one that isn't full is filled up where others are above it, so that pairs stay aligned."""
    columns = min(PAIRS, len(above))
    lacking = -len(above) % columns
    filled = [np.concatenate([part, np.full((lacking, *part.shape[1:]), blank, part.dtype)]) for part in (above, below)]
    starts = range(0, len(above), columns)
    save_sheet(path, np.concatenate([part[at : at + columns] for at in starts for part in filled]), columns, SIDE, 2)
