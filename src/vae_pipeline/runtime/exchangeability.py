"""A test of exchangeability that may be looked at at any time: p-values of scores as they come, and bets on them.

Each score is ranked among all that came before it, those of the calibration first. As long as all are exchangeable,
these p-values are independent and uniform, exactly and for any number of scores; so the capital of who bets on them is
a martingale, and seldom grows.

Source: Vovk, Testing Randomness Online, 2021.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DIGITS = 14  # binary, that a score keeps: so that however many came, there are some thousand different ones
BLOCK = 512  # scores that are ranked among each other at a time
LARGEST = 1e30
LEAST = 1e-12  # of a p-value, and of its distance to 1
EXPONENTS = (1 / 2, 3 / 4, 9 / 10, 1, 10 / 9, 4 / 3, 2)
BETS = np.array([pair for pair in itertools.product(EXPONENTS, repeat=2) if pair != (1, 1)])
"""The beta distributions (a, b) that p-values may have instead of the uniform one: a and b under 1 where scores lie
farther out on either side than before, over 1 where they lie nearer to the middle, b over a where they are higher."""
_NORMALISERS = np.array([math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b) for a, b in BETS])


@dataclass(frozen=True)
class Tally:
    """The scores that came so far: the different ones, rising, and how often each came."""

    scores: Floats
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, scores: npt.ArrayLike) -> "Tally":
        """Count scores, to `DIGITS` binary digits of each."""
        return cls(*np.unique(_rounded(scores), return_counts=True))

    def plus(self, other: "Tally") -> "Tally":
        """Add another one."""
        scores, places = np.unique(np.concatenate([self.scores, other.scores]), return_inverse=True)
        counts = np.bincount(places, np.concatenate([self.counts, other.counts]), len(scores))
        return Tally(scores, counts.astype(np.int64))


def p_values(before: Tally, scores: npt.ArrayLike, draw: np.random.Generator) -> Floats:
    """The rank from the highest of each score among those before it, with ties drawn, on (0, 1).

    (higher + u (1 + equal)) / (1 + all before), with u uniform: of exchangeable scores independent and uniform.
    """
    new, found = _rounded(scores), []
    for start in range(0, len(new), BLOCK):
        some = new[start : start + BLOCK]
        total = int(before.counts.sum())
        up_to = np.concatenate([[0], before.counts.cumsum()])
        left, right = (up_to[np.searchsorted(before.scores, some, side)] for side in ("left", "right"))
        # Row i has the scores of this block that came before score i.
        higher = total - right + np.tril(some > some[:, None], -1).sum(1)
        equal = right - left + np.tril(some == some[:, None], -1).sum(1)
        found.append((higher + draw.random(len(some)) * (1 + equal)) / (1 + total + np.arange(len(some))))
        before = before.plus(Tally.of(some))
    return np.asarray(np.clip(np.concatenate([*found, []]), LEAST, 1 - LEAST))


def log_gains(p_value: Floats) -> Floats:
    """The log of the factor by which each of `BETS` multiplies its capital: the likelihood ratio of these p-values."""
    logs = np.stack([np.log(p_value).sum(), np.log1p(-p_value).sum()])
    return np.asarray((BETS - 1) @ logs - _NORMALISERS * len(p_value))


def _rounded(scores: npt.ArrayLike) -> Floats:
    """A fixed function of each score alone, so that exchangeable ones stay so."""
    finite = np.clip(np.nan_to_num(np.asarray(scores, np.float64), nan=LARGEST), -LARGEST, LARGEST)
    mantissa, exponent = np.frexp(finite)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, DIGITS)), exponent - DIGITS))
