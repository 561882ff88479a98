"""The perceptual distance: how far apart two images are in maps of features."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "batch channels height width"]
Maps = list[Float[Tensor, "batch features rows columns"]]

Distance = Callable[[Tensor, Tensor], Float[Tensor, ""]]
"""A distance of reconstructions from their targets, averaged over examples, which training lowers."""
LEAST = 1e-3
"""Added to a squared length: where there is next to no feature, there is no direction to compare either."""


@dataclass(frozen=True)
class PerceptualDistance:
    """Σ over maps of ‖a - b‖², averaged over places and images; a and b are a place's features, made of length 1.

    A map's part lies between 0 and 4.

    Source: Zhang, Isola, Efros, Shechtman and Wang, The Unreasonable Effectiveness of Deep Features as a Perceptual
    Metric, 2018, eq. 1, where every channel weighs the same.
    """

    features: Callable[[Images], Maps]
    """A network whose weights are fixed, from images on [0, 1]."""

    def __call__(self, images: Images, targets: Images) -> Float[Tensor, ""]:
        """The distance, which `images` have a gradient of."""
        with torch.no_grad():
            wanted = self.features(targets)
        pairs = zip(self.features(images), wanted, strict=True)
        return torch.stack([(_unit(found) - _unit(given)).square().sum(1).mean() for found, given in pairs]).sum()


def _unit(features: Tensor) -> Tensor:
    return features * (features.square().sum(1, keepdim=True) + LEAST).rsqrt()
