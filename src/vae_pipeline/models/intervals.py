"""Intervals of clean values: how wide they are for a deviation, so that they hold a share of a new image's values.

    half-width = factor g(deviation)         log g is piecewise linear in the log of the deviation

g passes through quantiles of |clean - estimate| among values of about the same deviation: where most are sure, as the
black ones of digits, they don't decide how wide the others' intervals are. It is fitted to one half of the held-back
images. The factor is set by the other half, which g has not seen: so the promise is the factor's, whatever g is.

Source: quantiles of one part that another makes valid, Romano, Patterson and Candès, Conformalized Quantile Regression,
2019; by bins of how hard a value is, Boström and Johansson, Mondrian Conformal Regressors, 2020.
"""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

EDGES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 7 / 8, 15 / 16)
"""Shares of the values that the groups end at: small ones for the surest and the least sure."""
APART = 1e-3  # between logs of deviations: nearer knots would make steps of what runtimes round
FEWEST = 20  # values whose quantile is told by themselves
LEAST = 1e-5  # half-width, on [0, 1]
WIDEST = 1.001 / LEAST  # factor, which makes the least of them as wide as the range


class Intervals(nn.Module):
    """Half-widths of intervals on [0, 1], by the logs of some deviations and of the half-widths that go with them."""

    knots: Tensor
    heights: Tensor

    def __init__(self, knots: Float[Tensor, " knots"], heights: Float[Tensor, " knots"], factor: float = 1.0) -> None:
        """`factor` is in the heights already."""
        super().__init__()
        self.register_buffer("knots", knots)
        self.register_buffer("heights", heights)
        self.factor = factor

    def forward(self, deviation: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The half-width for each deviation: between knots on a line, beyond them as at the last."""
        log_deviation, knots, heights = deviation.log(), self.knots.tolist(), self.heights.tolist()
        log_width = torch.full_like(log_deviation, heights[0])
        for (left, right), (low, high) in zip(pairwise(knots), pairwise(heights), strict=True):
            along = (log_deviation - left).clamp(0.0, right - left)
            log_width = log_width + (high - low) / (right - left) * along
        return log_width.exp()


def fitted(
    away: Float[Tensor, "images values"], deviation: Float[Tensor, "images values"], coverage: float
) -> Intervals:
    """Intervals that hold a share `coverage`, by how far held-back images are away from what they were taken for.

    The factor is 1 at least, so that values of which there is no doubt don't pay for the others.
    """
    half = len(away) // 2
    if half == 0:
        return Intervals(torch.zeros(1), torch.zeros(1), WIDEST)
    shape = _quantiles(away[:half].flatten(), deviation[:half].flatten(), coverage)
    factor = max(1.0, conformal_factor(away[half:] / shape(deviation[half:]), coverage))
    return Intervals(shape.knots, shape.heights + math.log(factor), factor)


def _quantiles(away: Float[Tensor, " values"], deviation: Float[Tensor, " values"], coverage: float) -> Intervals:
    """The quantile of each group of values of about the same deviation that has values enough; else of all."""
    log_deviation = deviation.log()
    edges = log_deviation.quantile(torch.tensor(EDGES)).div(APART).ceil().unique() * APART
    place = torch.bucketize(log_deviation, edges)
    bins = [place == bin for bin in range(len(EDGES) + 1)]
    kept = [bin for bin in bins if bin.sum() >= FEWEST] or [torch.ones_like(bins[0])]
    knots = [log_deviation[bin].mean() for bin in kept]
    heights = [away[bin].kthvalue(math.ceil(coverage * int(bin.sum()))).values.clamp_min(LEAST).log() for bin in kept]
    return Intervals(torch.stack(knots), torch.stack(heights))


def conformal_factor(ratios: Float[Tensor, "images values"], coverage: float) -> float:
    """The factor by which half-widths are scaled so that intervals hold a share `coverage` of a new image's values.

    `ratios` are |clean - estimate| / half-width of held-back images. The share of an image's values that its intervals
    miss falls as the factor rises, and is 1 at most: the least factor at which n/(n+1) of its mean over n images, plus
    1/(n+1), is at most 1 - coverage bounds the expected share for a new image, if it and the n are exchangeable.
    Nothing is assumed of the values within an image, and nothing is promised of any one image. Where n is too small,
    intervals are as wide as the range.

    Source: Angelopoulos, Bates, Fisch, Lei and Schuster, Conformal Risk Control, 2024, eq. 4.
    """
    images, values = len(ratios), ratios[0].numel()
    missed = math.floor(((images + 1) * (1 - coverage) - 1) * values + 1e-9)  # of all values, at most
    if missed < 0:
        return WIDEST
    return ratios.flatten().kthvalue(max(1, images * values - missed)).values.item()
