"""Paired gains: what several arms gain over none in the same repeats, and how sure that is.

The intervals are bootstrap intervals of the mean (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter
13), simultaneous over the arms by Bonferroni's correction; the p values are of two-sided paired t tests, corrected by
Holm's step-down (Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979).

Repeats that hold out folds of the same images aren't independent, and the mean of their differences varies more than
their spread says. With folds of n2 images beside n1 others its variance is

    (1 / repeats + n2 / n1) * the variance of the differences

(Nadeau and Bengio, Inference for the Generalization Error, 2003, section 3; for repeated folds, where n2 / n1 is
1 / (folds - 1): Bouckaert and Frank, Evaluating the Replicability of Significance Tests, 2004). n2 / n1 is `overlap`
here, and 0 for repeats that share no images; test, interval and least gain are all wider by the same factor.
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


def gains(
    none: Sequence[float], arms: Mapping[str, Sequence[float]], seed: int, overlap: float = 0.0
) -> dict[str, PairedGain]:
    """The gain of each arm, of figures that are in the order of the same repeats, two or more."""
    differences = {name: np.asarray(figures) - np.asarray(none) for name, figures in arms.items()}
    level = LEVEL / len(differences)
    corrected = holm([paired_p(each, overlap) for each in differences.values()])
    found = {}
    for (name, each), p in zip(differences.items(), corrected, strict=True):
        low, high = interval(each, 1 - level, derive(seed, "interval", name), overlap)
        deviation, wide = float(each.std(ddof=1)), widened(len(each), overlap)
        least = detectable(len(each), wide * deviation, level)
        found[name] = PairedGain(float(each.mean()), low, high, p, deviation, least)
    return found


def widened(repeats: int, overlap: float) -> float:
    """The factor by which the standard error of a mean is greater than it would be of independent repeats."""
    return math.sqrt(1 + repeats * overlap)


def interval(differences: Array, confidence: float, seed: int, overlap: float = 0.0) -> tuple[float, float]:
    """The percentile bootstrap interval of their mean, whose ends lie farther off by the factor `widened`."""
    found = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    mean, more = differences.mean(), widened(len(differences), overlap) - 1
    return float(found.low - more * (mean - found.low)), float(found.high + more * (found.high - mean))


def paired_p(differences: Array, overlap: float = 0.0) -> float:
    """The p value of a two-sided t test that their mean is 0; 1 where they don't vary, and so tell no error."""
    if np.ptp(differences) <= 1e-12:
        return 1.0
    t = stats.ttest_1samp(differences, 0.0).statistic / widened(len(differences), overlap)
    return float(2 * stats.t.sf(abs(t), len(differences) - 1))


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
