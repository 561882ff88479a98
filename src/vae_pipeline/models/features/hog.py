"""Histograms of oriented gradients, in operators that every runtime has.

    h[c, k] = Σ |∇x| over the pixels of cell c whose gradient's direction, of a half-turn, lies in the k-th of its parts
    v = h of the cells of a block / sqrt(‖h‖² + ε²)        min(v, 0.2), and normalised once more

A direction belongs to the k-th part where it lies past k of the lines between parts, each of which is one sign of a
linear function of the gradient. The channel of a colour image that has the strongest gradient counts at each pixel.

Source: Dalal and Triggs, Histograms of Oriented Gradients for Human Detection, 2005 (L2-Hys); the numbers are those of
`skimage.feature.hog`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vae_pipeline.models.features.gradient import Images, gradient
from vae_pipeline.models.features.places import FeatureShape, cells
from vae_pipeline.system.errors import RecipeError

EPSILON = 1e-5  # skimage's, on values scaled to [0, 1]
HIGHEST = 0.2  # of a normalised histogram
ON_LINE = 4e-7  # share of the range: a direction that is exactly between two parts rounds to either side of 0


class Hog(nn.Module):
    """Images to a map of blocks: for each of their cells, from the top left on, a normalised histogram."""

    cosines: Tensor
    sines: Tensor

    def __init__(self, shape: tuple[int, int, int], width: float, cell: int, block: int, orientations: int) -> None:
        """`shape` is that of an image, whose values lie within a range of that width.

        Raises:
            RecipeError: the image is smaller than a block.
        """
        super().__init__()
        self.width, self.cell, self.block = width, cell, block
        down, right = (cells(side, cell) for side in shape[1:])
        blocks = len(down) - block + 1, len(right) - block + 1
        if min(blocks) < 1:
            raise RecipeError(
                f"model.view.block is {block} cells of {cell} pixels to a side, and the images have {shape[2]} x "
                f"{shape[1]} pixels: set model.view.cell to {max(1, min(shape[1:]) // block)} or less"
            )
        self.shape: FeatureShape = (block * block * orientations, *blocks)
        self.rows, self.columns = (
            [along[first + place] for place in range(block) for first in range(count)]
            for along, count in zip((down, right), blocks, strict=True)
        )
        angles = torch.arange(1, orientations, dtype=torch.float64) * (math.pi / orientations)
        self.register_buffer("cosines", angles.cos().float()[:, None, None], persistent=False)
        self.register_buffer("sines", angles.sin().float()[:, None, None], persistent=False)

    def forward(self, x: Images) -> Float[Tensor, "batch features rows columns"]:
        """Features of raw images."""
        down, right = gradient(x)
        down, right = _strongest(down, right)
        magnitude = (down.square() + right.square()).sqrt() * (1 / self.width)
        # Opposite gradients are of one direction: they are turned to point downwards, or to the right.
        right = torch.where(down < 0, -right, torch.where(down > 0, right, right.abs()))
        past = (down.abs() * self.cosines - right * self.sines >= -ON_LINE * self.width).float()
        within = functional.pad(past, (0, 0, 0, 0, 1, 0), value=1.0) - functional.pad(past, (0, 0, 0, 0, 0, 1))
        return self._normalised(functional.avg_pool2d(within * magnitude, self.cell))

    def _normalised(self, histograms: Float[Tensor, "batch orientations down right"]) -> Tensor:
        """The cells of each block as features, which have a norm of 1 (of 0 where nothing is)."""
        _, rows, columns = self.shape
        places = [(down, right) for down in range(self.block) for right in range(self.block)]
        of_blocks = torch.cat(
            [histograms[:, :, down : down + rows, right : right + columns] for down, right in places], 1
        )
        return _unit(_unit(of_blocks).clamp(max=HIGHEST))

    def laid(self, values: Float[Tensor, "batch features rows columns"]) -> Float[Tensor, "batch down right"]:
        """The sum over the directions of a cell; a cell stands there once for each place that it has in a block."""
        of_cells: Tensor = values.unflatten(1, (self.block, self.block, -1)).sum(3)
        return of_cells.permute(0, 1, 3, 2, 4).flatten(3, 4).flatten(1, 2)


def _strongest(down: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of one channel at each pixel, [batch, 1, height, width]: the first of the strongest."""
    found = down[:, :1], right[:, :1]
    for channel in range(1, down.shape[1]):
        other = down[:, channel : channel + 1], right[:, channel : channel + 1]
        most, more = (first.square() + second.square() for first, second in (found, other))
        found = torch.where(more > most, other[0], found[0]), torch.where(more > most, other[1], found[1])
    return found


def _unit(values: Tensor) -> Tensor:
    """v / sqrt(‖v‖² + ε²), counted in ε: torch's exporter would leave out an ε² that is added as nothing."""
    counted = values * (1 / EPSILON)
    return counted / (counted.square().sum(1, keepdim=True) + 1).sqrt()
