"""The masks of pictures as rows of arrays, read when they are first asked for."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from vae_pipeline.kinds.blocks import BlockRows, Blocks
from vae_pipeline.kinds.image.looks import MaskLook
from vae_pipeline.kinds.image.survey import SurveyedPictures
from vae_pipeline.kinds.parts import Array, Indices


class MaskRows:
    """The masks of surveyed pictures or of their tiles, [height, width] each; one without a mask has no defect."""

    def __init__(self, pictures: SurveyedPictures, mask_of: Mapping[str, str]) -> None:
        names = pictures.listing.names
        self.pictures, self.mask_of = pictures, {name: mask_of[name] for name in names if name in mask_of}
        self.masked = np.array([name in mask_of for name in names], bool)[pictures.owners]
        """[rows], bool: True where the picture has a mask."""

    def __len__(self) -> int:
        return len(self.masked)

    @cached_property
    def _marks(self) -> BlockRows:
        blocks, look = self.pictures.blocks, self.pictures.look
        sizes = dict(zip(self.pictures.listing.names, self.pictures.told["size"].tolist(), strict=True))
        masks = {mask: tuple(sizes[name]) for name, mask in self.mask_of.items()} if look.tiled else {}
        listing = dataclasses.replace(blocks.listing, names=list(self.mask_of.values()))
        return BlockRows(Blocks(listing, MaskLook(look.data, masks), blocks.bench))

    def __getitem__(self, indices: Indices) -> Array:
        rows = np.zeros((len(indices), *self.pictures.look.data.shape[1:]), np.uint8)
        marked = self.masked[indices]
        if marked.any():
            rows[marked] = self._marks[(np.cumsum(self.masked) - 1)[indices[marked]]]
        return rows
