"""P-values where normal examples aren't mixed as they were: those of before weighed until they resemble those of now.

With w(x) in the ratio of the densities of x, now over before, the p-value of an example of score s is

    (Σ_i w(x_i) 1[s_i >= s] + w(x)) / (Σ_i w(x_i) + w(x)),        i over normal examples of before, not trained on

By the posterior means z, a logistic regression tells examples of now from those of before; w is its odds.

Source: Tibshirani et al., Conformal Prediction under Covariate Shift, 2019.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Floats = npt.NDArray[np.float64]

LEAST = 20
"""Examples on either side, under which nothing tells a shift."""
STEPS = 100  # of Newton's method; it takes five or so


@dataclass(frozen=True)
class Shift:
    """The scores of examples of before, rising, and the weights of any examples."""

    scores: Floats
    weights: Floats
    """The weights of the scores' examples."""
    slope: Floats
    intercept: float
    """The log of w is linear in z; it is known up to a constant."""

    @classmethod
    def between(cls, scores: Array, before: Array, now: Array) -> "Shift":
        """The shift from examples of before, of these scores and latents [examples, latents], to latents of now."""
        both = np.concatenate([before, now]).astype(np.float64)
        deviation = np.where(both.std(0) > 0, both.std(0), 1)
        weights = logistic((both - both.mean(0)) / deviation, np.arange(len(both)) >= len(before))
        slope, order = weights[:-1] / deviation, np.argsort(scores)
        odds = before @ slope
        shift = cls(np.asarray(scores, np.float64)[order], np.zeros(0), slope, float(-odds.max()))
        return cls(shift.scores, shift.weight(before)[order], slope, shift.intercept)

    def weight(self, latents: Array) -> Floats:
        """The weight of each example."""
        return np.exp(np.minimum(latents @ self.slope + self.intercept, 500))

    @property
    def effective_size(self) -> float:
        """(Σ w)² / Σ w² of the examples of before: so many that count alike would tell as much."""
        return float(self.weights.sum() ** 2 / np.square(self.weights).sum())

    def p_values(self, scores: Array, latents: Array) -> Floats:
        """P-values of examples by their scores and latents."""
        under = np.concatenate([[0], self.weights.cumsum()])
        at_least, own = under[-1] - under[np.searchsorted(self.scores, scores, "left")], self.weight(latents)
        return np.asarray((at_least + own) / (under[-1] + own))


def logistic(x: Floats, positive: npt.NDArray[np.bool_]) -> Floats:
    """The slopes and the intercept of a logistic regression whose slopes have the prior N(0, 1), by Newton's method."""
    rows, penalty = np.concatenate([x, np.ones((len(x), 1))], 1), np.append(np.ones(x.shape[1]), 0)
    sign = np.where(positive, 1.0, -1.0)

    def loss(weights: Floats) -> float:
        return float(np.logaddexp(0, -sign * (rows @ weights)).sum() + penalty @ np.square(weights) / 2)

    weights = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        probability = 1 / (1 + np.exp(-np.clip(rows @ weights, -500, 500)))
        gradient = rows.T @ (probability - positive) + penalty * weights
        curvature = (rows * (probability * (1 - probability))[:, None]).T @ rows + np.diag(penalty + 1e-9)
        step, length = np.linalg.solve(curvature, gradient), 1.0
        while length > 1e-6 and loss(weights - length * step) > loss(weights):
            length /= 2
        weights = weights - length * step
        if np.abs(length * step).max() < 1e-9:
            break
    return weights
