"""Pictures cut into as many tiles of one size as fit; all tiles of a picture are of one part."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter

import numpy as np

from vae_pipeline.kinds.image.decoding import read_whole, size_of
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.parts import Array, Indices, Part
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


@dataclass(frozen=True)
class TiledRows:
    """Tiles of pictures as rows of [channels, height, width]: those of a picture follow each other."""

    pictures: Listing
    data: FolderData
    levels: tuple[float, float]

    @cached_property
    def places(self) -> list[list[tuple[int, int]]]:
        """The corners of each picture's tiles.

        Raises:
            DataError: a picture is smaller than a tile.
        """
        found = []
        for name in self.pictures.names:
            shown = f"{self.pictures.place}/{name}"
            size, tile = size_of(self.pictures.read(name), shown), self.data.shape[1:]
            found.append(corners(size, tile, self.data.overlap))
            if not found[-1]:
                raise DataError(
                    f"{shown} is {size[1]}x{size[0]} pixels, too small for a tile of {tile[1]}x{tile[0]}: leave it "
                    "out, or take a smaller data.shape"
                )
        return found

    @cached_property
    def owners(self) -> Indices:
        """The picture of each row."""
        return np.repeat(np.arange(len(self.places)), [len(each) for each in self.places])

    def __len__(self) -> int:
        return len(self.owners)

    def __getitem__(self, indices: Indices) -> Array:
        _, height, width = self.data.shape
        owners = self.owners[indices]
        tiles = indices - np.searchsorted(self.owners, owners)
        rows = []
        for picture, some in groupby(zip(owners, tiles, strict=True), key=itemgetter(0)):  # each is decoded once
            name = self.pictures.names[picture]
            shown = f"{self.pictures.place}/{name}"
            whole = read_whole(self.pictures.read(name), shown, self.data.shape[0], self.levels)
            corner = [self.places[picture][tile] for _, tile in some]
            rows += [whole[:, top : top + height, left : left + width] for top, left in corner]
        return np.stack(rows)


def repeated(whole: Part, tiled: TiledRows) -> Part:
    """Tiles, each with what is known of its picture: the name too, so that all of one are of one part."""
    part = subset(whole, tiled.owners)
    assert whole.names is not None  # they are pictures
    names = [whole.names[picture] for picture in tiled.owners]
    return dataclasses.replace(part, rows=tiled, names=names, indices=None)
