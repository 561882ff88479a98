"""Pictures and their masks as rows of arrays, read when they are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vae_pipeline.kinds.image.blocks import PictureBlocks
from vae_pipeline.kinds.image.decoding import Levels, read_mask
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.parts import Array, Indices
from vae_pipeline.recipe.data import FolderData


@dataclass(frozen=True)
class DecodedRows:
    """Pictures of blocks as rows of [channels, height, width]."""

    blocks: PictureBlocks
    places: Indices
    """The place of each row among all pictures of the blocks."""
    levels: Levels

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, indices: Indices) -> Array:
        places = self.places[indices]
        numbers, within = np.divmod(places, self.blocks.size)
        rows = np.empty((len(places), *self.blocks.data.shape), np.uint8)
        for number in np.unique(numbers).tolist():
            mine = numbers == number
            rows[mine] = self.blocks.pixels(number, self.levels)[within[mine]]
        return rows


@dataclass(frozen=True)
class DecodedMasks:
    """The masks of pictures, [height, width] each; one without a mask has no defect."""

    pictures: Listing
    mask_of: Mapping[str, str]
    data: FolderData

    def __len__(self) -> int:
        return len(self.pictures.names)

    def __getitem__(self, indices: Indices) -> Array:
        return np.stack([self.decode(self.mask_of.get(self.pictures.names[index])) for index in indices])

    def decode(self, name: str | None) -> Array:
        """Read one mask; of None, an empty one."""
        size = self.data.shape[1:]
        if name is None:
            return np.zeros(size, np.uint8)
        return read_mask(self.pictures.read(name), f"{self.pictures.place}/{name}", size, self.data.fit)
