"""The discriminator: says of every patch of an image how real it looks."""

import math
from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.nets.convolution import fitting

GROUPS = 8  # of a normalisation, where they divide the channels
SLOPE = 0.2  # of the leaky units
CHANCE = 2.0
"""The hinge loss of a discriminator that can't tell."""


class PatchDiscriminator(nn.Module):
    """Images to a score for each of their overlapping patches, high for what looks real.

    Layers between the first and the last are normalised within each image, so that images of a batch don't mix.
    Nothing bounds how steep the scores are: with spectral normalisation a reconstruction, which is near to its image,
    could not get another score than the image, and the loss stayed near that of chance.

    Source: Isola, Zhu, Zhou and Efros, Image-to-Image Translation with Conditional Adversarial Networks, 2017, section
    3.2.2, with its 4 x 4 kernels: at stride 2 they cover every pixel equally often, and 3 x 3 ones drew a grid of dots.
    Wu and He, Group Normalization, 2018.
    """

    def __init__(self, shape: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        widths = [shape[0], *channels[: fitting(shape[1:], len(channels), smallest=2)]]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
            if len(layers) > 1:  # the first sees the image as it is
                layers.append(nn.GroupNorm(math.gcd(GROUPS, after), after))
            layers.append(nn.LeakyReLU(SLOPE))
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, images: Float[Tensor, "batch _ _ _"]) -> Float[Tensor, "batch 1 rows columns"]:
        """Scores of images on [0, 1]."""
        scores: Tensor = self.layers(2 * images - 1)
        return scores


def hinge(real: Tensor, made: Tensor) -> Float[Tensor, ""]:
    """E max(0, 1 - D(real)) + E max(0, 1 + D(made)): 2 of a discriminator that can't tell, 0 of one that always can.

    Source: Lim and Ye, Geometric GAN, 2017, eq. 12.
    """
    return (1 - real).relu().mean() + (1 + made).relu().mean()
