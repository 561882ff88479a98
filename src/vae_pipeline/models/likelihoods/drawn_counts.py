"""Draws of counts from even numbers that are given, without a loop or a branch.

A Poisson variable of a rate up to `EXACT` is the inverse of its distribution function, summed up to `STEPS`; that of a
greater one is Giles's expansion of it, whose probabilities are together off by 1.4e-4 at most. A negative binomial one
is Poisson's at a rate that is drawn from a gamma distribution of the shape θ: that of θ + 2 by Wilson and Hilferty's
cube of a Gaussian variable, times powers of two even numbers, off by 0.0015 at most. None is over `MOST_COUNTED`.

Source: Giles, Approximation of the Inverse Poisson Cumulative Distribution Function, 2016; Wilson and Hilferty, The
Distribution of Chi-Square, 1931; Stuart, Gamma-Distributed Products of Independent Random Variables, 1962.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vae_pipeline.models.likelihoods.count_columns import CountRows
from vae_pipeline.models.likelihoods.counts import MOST_COUNTED

EVEN = 7
"""Even numbers that the draw of a count takes."""
EXACT, STEPS = 10.0, 40
LEAST_SHARE = 1e-30
CERTAIN, ROUNDED = 0.25, 1e-6  # doubt of a count; rounding, of its rate


def drawn(rows: CountRows, even: Float[Tensor, "batch counts even"]) -> tuple[Tensor, Tensor]:
    """Counts, and how near each came to being another: 1e-5 or less is as near as rounding may bring it."""
    choice, first, second, once, twice, zero, total = even.unbind(-1)
    counts = rows.drawn(rows.total(total[:, :1]))
    radius, angle = (-2 * first.log()).sqrt(), 2 * math.pi * second
    rate = counts.rate if counts.size is None else counts.rate * _spread(counts.size, radius * angle.sin(), once, twice)
    few, gap = _inverse(rate.clamp_max(EXACT), choice)
    many, near = _expanded(rate.clamp(EXACT, MOST_COUNTED), radius * angle.cos())
    values = torch.where(rate < EXACT, few, many)
    gap = torch.minimum(torch.where(rate < EXACT, gap, near), (rate / EXACT - 1).abs())
    if counts.inflation is not None:
        inflated = counts.inflation.sigmoid()
        values = values * (zero >= inflated).float()
        gap = torch.minimum(gap, (zero - inflated).abs())
    return values, gap


def _spread(size: Tensor, normal: Tensor, once: Tensor, twice: Tensor) -> Tensor:
    """A gamma variable of the shape θ, over θ."""
    shape = size + 2
    cube = (1 - 1 / (9 * shape) + normal / (3 * shape.sqrt())).clamp_min(0)
    powers = (once.log() / size + twice.log() / (size + 1)).exp()
    return (cube * cube * cube * shape * powers / size).clamp_min(LEAST_SHARE)


def _inverse(rate: Tensor, even: Tensor) -> tuple[Tensor, Tensor]:
    """The number of probabilities P(X <= k) that an even number is over, and its distance from the nearest."""
    each = (-rate).exp()
    below, count = each, (even >= each).float()
    gap = (even - each).abs()
    for step in range(1, STEPS):
        each = each * rate * (1 / step)
        below = below + each
        count = count + (even >= below).float()
        # where a probability is next to none, the sums are one and the same
        gap = torch.minimum(gap, (even - below).abs())
    return count, gap


def _expanded(rate: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
    root, square = rate.sqrt(), normal * normal
    terms = (-1 / 36 - square / 72) * normal / root + (-8 / 405 + square * (7 / 810 + square / 270)) / rate
    value = (rate + root * normal + 1 / 3 + square / 6 + terms).clamp(0.0, MOST_COUNTED)
    count = value.floor()
    near = torch.minimum(value - count, count + 1 - value)
    return count, near - (1e-3 + ROUNDED * rate).clamp_max(CERTAIN)
