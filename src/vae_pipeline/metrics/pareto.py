"""The tail of importance weights: the shape k̂ of the Pareto distribution that fits the largest says how heavy it is.

Over 0.7 the mean of the weights converges too slowly for its estimate to be trusted.

Source: Vehtari, Simpson, Gelman, Yao and Gabry, Pareto Smoothed Importance Sampling, 2024.
"""

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TRUSTED = 0.7
TIED = 1e-3  # log-weights nearer than this differ by the rounding of float32
PRIOR_WEIGHT, PRIOR_SHAPE = 10, 0.5  # the fit is drawn towards 0.5 as by ten more weights


def tail_length(samples: int) -> int:
    """The number of weights that are the tail, of so many."""
    return math.ceil(min(0.2 * samples, 3 * math.sqrt(samples)))


def pareto_shape(log_weights: Array) -> Array:
    """k̂ of each row, which holds an example's largest log-weights in any order; the least of them is the threshold.

    Where a row's weights are all but equal there is no tail, and k̂ is minus infinity.
    """
    ordered = np.sort(log_weights, axis=1)
    shape = np.full(len(ordered), -np.inf)
    tailed = ordered[:, -1] - ordered[:, 0] > TIED
    weights = np.exp(ordered[tailed] - ordered[tailed, -1:])
    shape[tailed] = generalised_pareto_shape(weights[:, 1:] - weights[:, :1])
    return shape


def generalised_pareto_shape(exceedances: Array) -> Array:
    """k̂ of each row of ascending numbers from 0 on, as drawn from (1 + k x / s)^(-1 / k - 1) / s.

    The mean of b = -k / s by a likelihood profiled over k, on a grid; k follows from b.

    Source: Zhang and Stephens, A New and Efficient Estimation Method for the Generalized Pareto Distribution, 2009.
    """
    count = exceedances.shape[1]
    points = 30 + math.isqrt(count)
    quartile = np.maximum(exceedances[:, [int(count / 4 + 0.5) - 1]], 1e-300)
    steps = 1 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))
    b = 1 / exceedances[:, -1:] + steps / (3 * quartile)
    k = np.log1p(-b[..., None] * exceedances[:, None]).mean(axis=2)
    log_likelihood = count * (np.log(-b / k) - k - 1)
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    mean = (b * likelihood).sum(axis=1, keepdims=True) / likelihood.sum(axis=1, keepdims=True)
    shape = np.log1p(-mean * exceedances).mean(axis=1)
    return np.asarray((count * shape + PRIOR_WEIGHT * PRIOR_SHAPE) / (count + PRIOR_WEIGHT))
