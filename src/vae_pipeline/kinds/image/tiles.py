"""Pictures cut into as many tiles of one size as fit; all tiles of a picture are of one part."""

import dataclasses

import numpy as np

from vae_pipeline.kinds.parts import Array, Indices, Part, Readable
from vae_pipeline.kinds.splitting import subset
from vae_pipeline.recipe.data import FolderData
from vae_pipeline.system.errors import DataError


def corners(size: tuple[int, int], tile: tuple[int, int], overlap: int) -> list[tuple[int, int]]:
    """Top and left of each tile; neighbours share `overlap` pixels, and what is left over lies evenly around all."""

    def along(length: int, side: int) -> list[int]:
        step = side - overlap
        count = max(0, (length - overlap) // step)
        return [(length - overlap - count * step) // 2 + place * step for place in range(count)]

    return [(top, left) for top in along(size[0], tile[0]) for left in along(size[1], tile[1])]


def places(size: tuple[int, int], data: FolderData, shown: str) -> list[tuple[int, int]]:
    """The corners of a picture's tiles.

    Raises:
        DataError: it is smaller than a tile.
    """
    tile = data.shape[1:]
    found = corners(size, tile, data.overlap)
    if not found:
        raise DataError(
            f"{shown} is {size[1]}x{size[0]} pixels, too small for a tile of {tile[1]}x{tile[0]}: leave it "
            "out, or take a smaller data.shape"
        )
    return found


def cut(whole: Array, data: FolderData, shown: str) -> Array:
    """Tiles [tiles, channels, height, width] of a picture [channels, height, width].

    Raises:
        DataError: it is smaller than a tile.
    """
    _, height, width = data.shape
    at = places(whole.shape[1:], data, shown)
    return np.stack([whole[:, top : top + height, left : left + width] for top, left in at])


def repeated(whole: Part, tiles: Readable, owners: Indices) -> Part:
    """Tiles and the picture of each, with what is known of it: the name too, so that all of one are of one part."""
    part = subset(whole, owners)
    assert whole.names is not None  # they are pictures
    names = [whole.names[picture] for picture in owners]
    return dataclasses.replace(part, rows=tiles, names=names, indices=None)
