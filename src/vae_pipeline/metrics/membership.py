"""Membership inference: how well training examples are told from held-out ones by a score, with intervals.

Whoever has a score that is higher for what a model was trained on can ask of an example that they know whether it was
trained on. The area says how well on average; the recall at a false-positive rate of 0.1 % says of how many examples
it is told with near certainty, which is what harms somebody.

Source: Carlini et al., Membership Inference Attacks From First Principles, 2022, for the recall at low rates.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, norm, rankdata

Scores = npt.NDArray[np.float64]
Groups = npt.NDArray[np.int64] | None
"""The number of each example's group, such as its patient; None where each is one of its own."""
RATE = 0.001
"""The false-positive rate of the recall."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class MembershipEstimate:
    """A figure, and the ends of its interval at 95 %."""

    value: float
    low: float
    high: float

    def figures(self, key: str) -> dict[str, float]:
        """The figure under its key, and the ends under theirs."""
        return {key: self.value, f"{key}_low": self.low, f"{key}_high": self.high}


def membership_auc(
    members: Scores, others: Scores, of_members: Groups = None, of_others: Groups = None
) -> MembershipEstimate:
    """The probability that a member's score is above another's, ties counted half, with DeLong's interval.

    Where groups are given, examples of one go together: the interval is over groups, of which none is on both sides.

    Source: DeLong, DeLong and Clarke-Pearson, 1988; by ranks: Sun and Xu, 2014, algorithm 2; over groups: Obuchowski,
    Nonparametric Analysis of Clustered ROC Curve Data, 1997, without the covariance of groups on both sides.
    """
    count, against = len(members), len(others)
    ranks = rankdata(np.concatenate([members, others]))
    over = (ranks[:count] - rankdata(members)) / against  # the share of others under each member
    under = 1 - (ranks[count:] - rankdata(others)) / count  # the share of members over each other one
    area = float(over.mean())
    error = math.sqrt(_variance_of_mean(over, of_members) + _variance_of_mean(under, of_others))
    around = float(norm.ppf((1 + CONFIDENCE) / 2)) * error
    return MembershipEstimate(area, max(0.0, area - around), min(1.0, area + around))


def _variance_of_mean(values: Scores, groups: Groups) -> float:
    """The variance of a mean of values of which those of one group go together; infinite of one group."""
    numbers = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(numbers, values - values.mean())
    if len(sums) < 2:
        return math.inf
    return float(len(sums) / (len(sums) - 1) * (sums**2).sum() / len(values) ** 2)


def membership_recall(members: Scores, others: Scores) -> MembershipEstimate | None:
    """The share of members over a threshold that at most 0.1 % of the others are over; None of under 1,000 others.

    The interval is Clopper and Pearson's, with the threshold taken as given.
    """
    allowed = int(RATE * len(others) + 1e-9)
    if not allowed:
        return None
    threshold = np.sort(others)[-1 - allowed]
    found = binomtest(int((members > threshold).sum()), len(members))
    ends = found.proportion_ci(CONFIDENCE, "exact")
    return MembershipEstimate(float(found.statistic), float(ends.low), float(ends.high))


def membership(
    members: Scores, others: Scores, by: str, of_members: Groups = None, of_others: Groups = None
) -> dict[str, Any]:
    """Both figures of a score, under keys that end in what it is told by, and a reason where one is left out."""
    figures: dict[str, Any] = membership_auc(members, others, of_members, of_others).figures(f"membership_auc_{by}")
    recall, key = membership_recall(members, others), f"membership_recall_{by}"
    if recall is None:
        few = f"a false-positive rate of 0.1 % takes {1 / RATE:,.0f} held-out images to be seen"
        return figures | {"left_out": {key: f"{few}, and there are {len(others):,}"}}
    return figures | recall.figures(key)
