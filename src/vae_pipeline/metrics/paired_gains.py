"""Paired gains: what several arms gain over none in the same repeats, and how sure that is.

The intervals are bootstrap intervals of the mean (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter
13), simultaneous over the arms by Bonferroni's correction; the p values are of two-sided paired t tests, corrected by
Holm's step-down (Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from vae_pipeline.numerics.randomness import derive

LEVEL, POWER, RESAMPLES, QUANTILES = 0.05, 0.8, 9999, 2000
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PairedGain:
    """The gain of one arm over none, in the unit of the figure."""

    mean: float
    low: float
    """The ends of the interval of the mean, corrected for the number of arms."""
    high: float
    p: float
    """Holm's corrected p value."""
    deviation: float
    """The standard deviation of the differences over the repeats."""
    detectable: float
    """The least true gain that would have been found with a probability of 80 %, were this the true deviation."""

    @property
    def sure(self) -> bool:
        """True if both the interval and the test say that the arm is better than none."""
        return self.low > 0 and self.p < LEVEL


def gains(none: Sequence[float], arms: Mapping[str, Sequence[float]], seed: int) -> dict[str, PairedGain]:
    """The gain of each arm, of figures that are in the order of the same repeats, two or more."""
    differences = {name: np.asarray(figures) - np.asarray(none) for name, figures in arms.items()}
    level = LEVEL / len(differences)
    corrected = holm([paired_p(each) for each in differences.values()])
    found = {}
    for (name, each), p in zip(differences.items(), corrected, strict=True):
        low, high = interval(each, 1 - level, derive(seed, "interval", name))
        deviation = float(each.std(ddof=1))
        found[name] = PairedGain(float(each.mean()), low, high, p, deviation, detectable(len(each), deviation, level))
    return found


def interval(differences: Array, confidence: float, seed: int) -> tuple[float, float]:
    """The percentile bootstrap interval of their mean."""
    found = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def paired_p(differences: Array) -> float:
    """The p value of a two-sided t test that their mean is 0; 1 where they don't vary, and so tell no error."""
    if np.ptp(differences) <= 1e-12:
        return 1.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """The p values corrected by Holm's step-down, in their order."""
    corrected, most = [0.0] * len(p), 0.0
    for rank, index in enumerate(np.argsort(p, kind="stable")):
        most = max(most, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = most
    return corrected


def detectable(repeats: float, deviation: float, level: float) -> float:
    """The least mean difference that a two-sided paired t test at `level` finds with a probability of 80 %.

    Source: Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, section 2.3.
    """
    freedom = repeats - 1
    beyond = stats.t.isf(level / 2, freedom)
    # Noncentral t by its definition, over quantiles of the observed deviation: scipy's gives NaN for few repeats.
    observed = np.sqrt(stats.chi2.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES, freedom) / freedom)

    def missing(shift: float) -> float:
        found = stats.norm.cdf(shift - beyond * observed) + stats.norm.cdf(-shift - beyond * observed)
        return float(found.mean()) - POWER

    shift = optimize.brentq(missing, 0.0, beyond * observed.max() + 5)
    return float(shift) * deviation / math.sqrt(repeats)
