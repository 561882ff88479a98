"""Heat maps: where an image is unlike what a model expects of it, smoothed, and the hottest part's mean as a score."""

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

WINDOW = 1 / 28  # standard deviation of the smoothing window, of the shorter side
PART = 0.04  # of an image, whose mean heat is its score


class HeatMap(nn.Module):
    """A Gaussian window over images of one size, as a matrix for each side: every runtime multiplies matrices."""

    down: Tensor
    right: Tensor

    def __init__(self, height: int, width: int, window: float = WINDOW, part: float = PART) -> None:
        super().__init__()
        spread = window * min(height, width)
        self.register_buffer("down", _window(height, spread))
        self.register_buffer("right", _window(width, spread).T.contiguous())
        self.hottest = math.ceil(part * height * width)

    def forward(self, found: Float[Tensor, "*batch height width"]) -> Float[Tensor, "*batch height width"]:
        """Smooth what was found at each pixel."""
        return self.down @ found @ self.right

    def score(self, heat: Float[Tensor, "batch channels height width"]) -> Float[Tensor, " batch"]:
        """The mean over the hottest part of a map, summed over its channels."""
        return heat.sum(1).flatten(1).topk(self.hottest).values.mean(1)


def _window(side: int, spread: float) -> Tensor:
    """[side, side]: what each place takes from each; at the edges the image is mirrored."""
    return torch.from_numpy(gaussian_filter1d(np.eye(side), spread, axis=0)).float()
