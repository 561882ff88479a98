"""Looks at pictures and their masks: each gives one row, or one for each of its tiles."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import PIL

from vae_pipeline.kinds import blocks
from vae_pipeline.kinds.blocks import Look, Looked, Range, code_of
from vae_pipeline.kinds.image import decoding, tiles
from vae_pipeline.kinds.image.decoding import (
    read_mask,
    read_picture,
    read_picture_or_levels,
    read_whole,
    size_of,
    wide_levels,
)
from vae_pipeline.kinds.image.tiles import cut, places
from vae_pipeline.kinds.parts import Array
from vae_pipeline.recipe.data import FolderData
from vae_pipeline.system.files import content_key

ROWS, BYTES = 1024, 2**25  # of a block, at most
TILED = 16  # pictures of a block where each is cut into tiles
UNKNOWN = (math.nan, math.nan)


class _FolderLook(Look):
    """A look that follows the data section of a folder of pictures."""

    def __init__(self, data: FolderData) -> None:
        self.data, self.tiled = data, data.resize == "tiles"
        self.event: tuple[int, ...] = tuple(data.shape)
        self.at_once = TILED if self.tiled else max(1, min(ROWS, BYTES // math.prod(data.shape)))

    @property
    def made_of(self) -> list[Any]:
        """The fields that change rows, Pillow and the code."""
        told = self.data.model_dump(mode="json", include={"shape", "resize", "crop", "overlap"})
        return [told, PIL.__version__, *code_of(blocks, decoding, tiles)]


class PictureLook(_FolderLook):
    """Pixels of a picture, 0..255; those of greys of over 8 bits need the range of all."""

    noun = "pictures"
    told = (("levels", "f8", 2), ("size", "i8", 2))
    """The values of `wide_levels`, NaN where that is None; height and width of a picture that is cut into tiles."""

    def __init__(self, data: FolderData) -> None:
        super().__init__(data)
        self.dropping = data.corrupt == "drop"

    def look(self, content: bytes, name: str, shown: str) -> Looked:  # noqa: ARG002
        """Decode a picture, or find the range of its greys."""
        if not self.tiled:
            data = self.data
            found = read_picture_or_levels(content, shown, data.shape, data.fit, data.crop)
            if isinstance(found, np.ndarray):
                return Looked(found[None], (UNKNOWN, (0, 0)))
            return Looked(1, (found, (0, 0)))
        levels = wide_levels(content, shown)
        if levels is not None:
            size = size_of(content, shown)
            return Looked(len(places(size, self.data, shown)), (levels, size))
        whole = read_whole(content, shown, self.data.shape[0])
        return Looked(cut(whole, self.data, shown), (UNKNOWN, whole.shape[1:]))

    def bring(self, content: bytes, name: str, shown: str, levels: Range) -> Array:  # noqa: ARG002
        """Spread the greys of a picture from the range of all to 0..255."""
        data = self.data
        if self.tiled:
            return cut(read_whole(content, shown, data.shape[0], levels), data, shown)
        return read_picture(content, shown, data.shape, data.fit, levels, data.crop)[None]


class MaskLook(_FolderLook):
    """Marks of a mask, [height, width] of 0 and 1; of one of tiles those that its picture was cut into."""

    noun = "masks"

    def __init__(self, data: FolderData, sizes: Mapping[str, tuple[int, int]]) -> None:
        """`sizes` are height and width of the picture of each mask, where pictures are cut into tiles."""
        super().__init__(data)
        self.event, self.sizes = data.shape[1:], sizes

    @property
    def made_of(self) -> list[Any]:
        """The same, and the sizes of pictures."""
        return [*super().made_of, content_key(self.sizes)]

    def look(self, content: bytes, name: str, shown: str) -> Looked:
        """Decode a mask."""
        if self.tiled:
            return Looked(cut(read_mask(content, shown, self.sizes[name], "none")[None], self.data, shown)[:, 0])
        return Looked(read_mask(content, shown, self.event, self.data.fit)[None])  # type: ignore[arg-type]
