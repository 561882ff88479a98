"""The gradient of an image, and the logarithm of its magnitude.

    down = x[i + 1, j] - x[i - 1, j]        right = x[i, j + 1] - x[i, j - 1]        0 at the edges they would cross

They are those of `skimage.feature.hog`, twice the usual central differences.
"""

from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from vae_pipeline.models.features.places import FeatureShape, cells

FLOOR = 1 / 255  # of a magnitude, on values scaled to [0, 1]: a level of a byte

Images = Shaped[Tensor, "batch channels height width"]


def gradient(
    x: Images,
) -> tuple[Float[Tensor, "batch channels height width"], Float[Tensor, "batch channels height width"]]:
    """The differences downwards and to the right, in the units of `x`."""
    x = x.float()
    down = functional.pad(x[:, :, 2:] - x[:, :, :-2], (0, 0, 1, 1))
    right = functional.pad(x[..., 2:] - x[..., :-2], (1, 1, 0, 0))
    return down, right


class LogGradient(nn.Module):
    """log(m + floor) of each cell, with m the mean of the gradient's magnitude over its pixels; a map a channel."""

    def __init__(self, shape: tuple[int, int, int], width: float, cell: int) -> None:
        """`shape` is that of an image, whose values lie within a range of that width.

        Raises:
            RecipeError: the image is smaller than a cell.
        """
        super().__init__()
        self.width, self.cell = width, cell
        self.rows, self.columns = (cells(side, cell) for side in shape[1:])
        self.shape: FeatureShape = (shape[0], len(self.rows), len(self.columns))

    def forward(self, x: Images) -> Float[Tensor, "batch features rows columns"]:
        """Features of raw images."""
        down, right = gradient(x)
        magnitude = (down.square() + right.square()).sqrt() * (1 / self.width)
        return (functional.avg_pool2d(magnitude, self.cell) + FLOOR).log()

    def laid(self, values: Float[Tensor, "batch features rows columns"]) -> Float[Tensor, "batch rows columns"]:
        """The sum of what was found of each cell."""
        return values.sum(1)
