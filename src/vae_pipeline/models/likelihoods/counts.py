"""Distributions of counts: Poisson and negative binomial variables, of which more may be 0 than they say.

log x! and log Γ(θ + x) are computed by Stirling's series, and log-probabilities by deviances from the mean: in float32
the large terms of the usual formulas leave nothing of a difference between them, and ONNX has no gamma function.

Source: Loader, Fast and Accurate Computation of Binomial Probabilities, 2000; zero-inflation as in Lopez, Regier, Cole,
Jordan and Yosef, Deep Generative Modeling for Single-Cell Transcriptomics, 2018.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

MOST_COUNTED = 2.0**24
"""The whole numbers up to it are float32's."""
NEAR = 0.2  # relative to the sum of two numbers: within it, a series of their difference is exact to float32
SMALL = 4.0  # below it, Stirling's series is asked four higher


def remainder(y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log Γ(y) - y log y + y, of y > 0, to 2e-6."""
    small = y.clamp_max(SMALL)
    shifted = small + 4
    below = (small + 1) * (small + 2) * (small + 3)
    low = _series(shifted) + (small + 3.5) * shifted.log() - (small + 1) * small.log() - below.log() - 4
    great = y.clamp_min(SMALL)
    return torch.where(y < SMALL, low, _series(great) - 0.5 * great.log()) + 0.5 * math.log(2 * math.pi)


def _series(y: Tensor) -> Tensor:
    """Stirling's: log Γ(y) - (y - 1/2) log y + y - log(2π) / 2."""
    inverse = 1 / y
    square = inverse * inverse
    return inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))


def _factorial(x: Tensor, left: Tensor) -> Tensor:
    """log x! - x log x + x, where `left` is the remainder of x, or of 1 where x is 0."""
    return torch.where(x > 0, left + x.clamp_min(1).log(), torch.zeros_like(x))


def deviance(x: Tensor, mean: Tensor, away: Tensor) -> Tensor:
    """x log(x / mean) + mean - x, of x from 0 and means over 0; `away` is mean - x, before it is rounded."""
    share = away / (x + mean)
    square = share * share
    odd = square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square / 9)))
    near = share * (away - 2 * x * odd)
    far = x * (x.clamp_min(1e-30).log() - mean.log()) + away
    return torch.where(share.abs() < NEAR, near, far)


class Counts(Distribution):
    """Independent counts of a rate λ: Poisson's; given θ a negative binomial's, whose variance is λ + λ² / θ.

    log Poisson(x) = x log λ - λ - log x!
    log NB(x) = log Γ(x + θ) - log Γ(θ) - log x! + θ log(θ / (θ + λ)) + x log(λ / (θ + λ))

    Given the log-odds of π, x is 0 with the probability π, and else one of these.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.nonnegative_integer

    def __init__(self, rate: Tensor, size: Tensor | None = None, inflation: Tensor | None = None) -> None:
        """`size` is θ, one a column or one an element; `inflation` are the log-odds of π."""
        self.rate, self.size, self.inflation = rate, size, inflation
        super().__init__(rate.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[x] = (1 - π) λ."""
        return self.rate if self.inflation is None else self.rate * (-self.inflation).sigmoid()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of each count."""
        found = self._uninflated(value)
        if self.inflation is None:
            return found
        inflation = self.inflation + torch.zeros_like(found)
        # log(π + (1 - π) p(0)) and log((1 - π) p(x)), before log(1 + e^log-odds) is taken off
        nothing = inflation + nn.functional.softplus(found - inflation)
        counted = value + torch.zeros_like(found)
        return torch.where(counted > 0, found, nothing) - nn.functional.softplus(inflation)

    def _uninflated(self, value: Tensor) -> Tensor:
        value = value + torch.zeros_like(self.rate)
        some = value.clamp_min(1)
        if self.size is None:
            return -deviance(value, self.rate, self.rate - value) - _factorial(value, remainder(some))
        size = self.size + torch.zeros_like(value)
        both, per = value + size, 1 / (size + self.rate)
        away = size * per * (value - self.rate)
        # Stacked, so that a graph has each formula once.
        ways, chosen, itself = remainder(torch.stack([both, size, some])).unbind()
        parts, rates = torch.stack([size, value]), torch.stack([size, self.rate + torch.zeros_like(value)])
        apart = deviance(parts, both * per * rates, torch.stack([away, -away])).sum(0)
        return ways - chosen - _factorial(value, itself) - apart

    def log_prob_expected(self) -> Tensor:
        """Log-probability of the likeliest count."""
        shrunk = self.rate if self.size is None else self.rate * (1 - 1 / self.size)
        highest = self.log_prob(shrunk.clamp_min(0).floor())
        return highest if self.inflation is None else torch.maximum(highest, self.log_prob(torch.zeros_like(highest)))

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Counts by torch's own draws."""
        with torch.no_grad():
            rate = self.rate.expand(*sample_shape, *self.rate.shape)
            if self.size is not None:
                size = self.size.expand_as(rate)
                rate = torch.distributions.Gamma(size, size / rate, validate_args=False).sample()
            drawn = torch.poisson(rate.clamp_max(MOST_COUNTED))
            return (
                drawn
                if self.inflation is None
                else drawn * torch.bernoulli((-self.inflation).sigmoid().expand_as(rate))
            )
