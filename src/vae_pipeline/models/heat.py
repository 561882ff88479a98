"""Heat maps: where an image is unlike what a model expects of it, smoothed, and the hottest part's mean as a score."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.features.places import Span, View

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


class FeatureHeatMap(HeatMap):
    """Heat maps, in pixels, of what was found of each feature: spread over the pixels that it is of, and smoothed.

    The window is half as wide as the widest part of the image that a feature is of, or wider. Sums are kept. All
    channels of the image share the heat alike, as features are of all of them.
    """

    view: View

    def __init__(self, view: View, shape: tuple[int, int, int], window: float = WINDOW, part: float = PART) -> None:
        """`shape` is that of an image, of which the view makes features."""
        channels, height, width = shape
        widest = max(end - start for start, end in (*view.rows, *view.columns))
        super().__init__(height, width, max(window, widest / 2 / min(height, width)), part)
        self.view, self.channels = view, channels
        self.down = self.down @ _spread(height, view.rows)
        self.right = _spread(width, view.columns).T @ self.right

    def forward(
        self, found: Float[Tensor, "batch features rows columns"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Spread and smooth what was found of each feature."""
        heat = self.down @ self.view.laid(found).unsqueeze(1) @ self.right
        return torch.cat([heat * (1 / self.channels)] * self.channels, 1)


def _window(side: int, spread: float) -> Tensor:
    """[side, side]: what each place takes from each; at the edges the image is mirrored."""
    from scipy.ndimage import gaussian_filter1d  # noqa: PLC0415 (0.13 s of a CPU, for detectors of images alone)

    return torch.from_numpy(gaussian_filter1d(np.eye(side), spread, axis=0)).float()


def _spread(side: int, spans: Sequence[Span]) -> Tensor:
    """[side, spans]: what each pixel takes from each span, which is shared out evenly among those within it."""
    pixels = np.arange(side)[:, None]
    start, end = np.array(spans).T
    shared = np.minimum(pixels + 1, end) - np.maximum(pixels, start)
    return torch.from_numpy(shared.clip(0) / (end - start)).float()
