"""Pictures and their masks as rows of arrays, decoded when they are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vae_pipeline.kinds.image.decoding import read_mask, read_picture
from vae_pipeline.kinds.listing import Listing
from vae_pipeline.kinds.parts import Array, Indices
from vae_pipeline.recipe.data import FolderData


@dataclass(frozen=True)
class DecodedRows:
    """Pictures as rows of [channels, height, width]."""

    pictures: Listing
    data: FolderData
    levels: tuple[float, float]

    def __len__(self) -> int:
        return len(self.pictures.names)

    def __getitem__(self, indices: Indices) -> Array:
        return np.stack([self.decode(self.pictures.names[index]) for index in indices])

    def decode(self, name: str) -> Array:
        """Read one picture."""
        content = self.pictures.read(name)
        shown, data = f"{self.pictures.place}/{name}", self.data
        return read_picture(content, shown, data.shape, data.fit, self.levels, data.crop)


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
