"""Draws of images from p(x|z), by numbers that are given, so that every runtime draws the same images.

Each value takes `UNIFORM` numbers that are even in (0, 1). Where the data are whole numbers, a draw is rounded to the
nearest one within their range: of a discretised likelihood that is its distribution, and of a density an image.

Source: Bailey, Polar Generation of Random Variates with the t-Distribution, 1994; of infinitely many degrees of
freedom, Box and Muller, A Note on the Generation of Random Normal Deviates, 1958.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.distributions import Laplace, Normal

from vae_pipeline.models.likelihoods import ObservedDistribution
from vae_pipeline.models.likelihoods.bernoulli import LogitBernoulli
from vae_pipeline.models.likelihoods.categorical import LevelCategorical
from vae_pipeline.models.likelihoods.class_draw import drawn_class
from vae_pipeline.models.likelihoods.discretised import Discretised, NormalTail
from vae_pipeline.models.likelihoods.location_scale import Continuous
from vae_pipeline.models.likelihoods.logistic import DiscretisedLogistic
from vae_pipeline.models.likelihoods.student_t import StudentT
from vae_pipeline.models.scaling import Scaling

UNIFORM = 2
"""Even numbers that the draw of a value takes."""
DOUBT = 1e-4  # of an even number
HALF = 1e-2  # of a level


class DrawnImages(NamedTuple):
    """Images that were drawn, and the values of them that rounding alone could have made others."""

    values: Float[Tensor, "batch *event"]
    """Values in the data's units."""
    doubtful: Bool[Tensor, "batch *event"]


@dataclass(frozen=True)
class ImageDraw:
    """The way from p(x|z) to raw images."""

    scaling: Scaling
    whole: bool
    """True if raw values are whole numbers."""

    def drawn(self, images: ObservedDistribution, uniform: Float[Tensor, "batch even"]) -> DrawnImages:
        """Raw images, and which of their values are doubtful."""
        first, second = uniform.unflatten(-1, (UNIFORM, *images.event_shape)).unbind(1)
        scaled, gap = _scaled(images, first, second)
        values, doubtful = self.scaling.inverse(scaled), gap < DOUBT
        if self.whole:
            low, high = self.scaling.low, self.scaling.low + self.scaling.width
            steps = values.clamp(low, high) + 0.5
            values = steps.floor()
            doubtful = doubtful | ((steps - steps.round()).abs() < HALF)
        return DrawnImages(values, doubtful)


def _scaled(images: ObservedDistribution, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled values, not yet rounded; and how near to another the even number is that chooses among several."""
    sure = torch.ones_like(first)
    match images:
        case LogitBernoulli():
            likely = images.mean
            return (first < likely).float(), (first - likely).abs()
        case LevelCategorical():
            chosen, gap = drawn_class(images.log_probability.exp(), first, images.axis)
            place = torch.linspace(0, 1, images.levels, device=first.device)
            return (chosen * place.reshape(-1, *[1] * images.rank)).sum(images.axis), gap
        case DiscretisedLogistic():
            chosen, gap = drawn_class(images.log_weight.exp(), first, images.axis)
            location = (chosen * images.location).sum(images.axis)
            scale = (chosen * images.log_scale.exp()).sum(images.axis)
            return location + scale * (second.log() - (1 - second).log()), gap
        case Discretised():
            normal = isinstance(images.tail, NormalTail)
            away = _normal(first, second) if normal else _laplace(first)
            return images.location + images.scale * away, sure
        case Continuous(real=Normal() as real):
            return real.loc + real.scale * _normal(first, second), sure
        case Continuous(real=Laplace() as real):
            return real.loc + real.scale * _laplace(first), sure
        case Continuous(real=StudentT() as real):
            squared = real.degrees * (torch.exp(-2 / real.degrees * first.log()) - 1)
            return real.location + real.scale * squared.sqrt() * torch.cos(2 * math.pi * second), sure
        case _:
            raise AssertionError(f"{type(images).__name__} is of no image")


def _normal(first: Tensor, second: Tensor) -> Tensor:
    return (-2 * first.log()).sqrt() * torch.cos(2 * math.pi * second)


def _laplace(even: Tensor) -> Tensor:
    """The inverse of Laplace's cumulative distribution: log 2u below the middle, -log 2(1 - u) above it."""
    return (2 * even).clamp_max(1).log() - (2 - 2 * even).clamp_max(1).log()
