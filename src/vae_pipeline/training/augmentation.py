"""Training images mirrored and moved: the changes of one epoch, one for each image of the training part."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from vae_pipeline.recipe.train import Augment


@dataclass(frozen=True)
class Augmentation:
    """The changes by the number of the row, so that neither batches nor processes alter them."""

    mirrored: Bool[Tensor, " rows"]
    down: Int[Tensor, " rows"]
    """Pixels by which an image is moved; below 0, up."""
    right: Int[Tensor, " rows"]

    @classmethod
    def draw(cls, augment: Augment, rows: int, generator: torch.Generator, device: torch.device) -> "Augmentation":
        """Draw the changes of so many images."""
        mirrored = torch.rand(rows, generator=generator) < (0.5 if augment.mirror else 0.0)
        moves = torch.randint(-augment.shift, augment.shift + 1, (2, rows), generator=generator)
        return cls(mirrored.to(device), *moves.to(device))

    def __call__(
        self, x: Shaped[Tensor, "batch channels height width"], rows: Int[Tensor, " batch"]
    ) -> Shaped[Tensor, "batch channels height width"]:
        """The images `x` of these rows, changed; what is moved in from outside repeats the edge."""
        mirrored, down, right = (each[rows][:, None] for each in (self.mirrored, self.down, self.right))
        last_row, last_column = (side - 1 for side in x.shape[2:])
        above = (torch.arange(last_row + 1, device=x.device) - down).clamp(0, last_row)
        beside = (torch.arange(last_column + 1, device=x.device) - right).clamp(0, last_column)
        beside = torch.where(mirrored, last_column - beside, beside)
        lines = x.gather(2, above[:, None, :, None].expand(x.shape))
        return lines.gather(3, beside[:, None, None, :].expand(x.shape))
