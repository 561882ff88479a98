"""The secrets that drawn rows tell of the rows that were trained on, beside what they tell of rows held out.

Whoever holds drawn rows alone may ask if a row that they know was trained on (membership), or what the value is that
they don't know of it (disclosure). Held-out rows are the floor: what is found of them follows from the population.
Rows are raw, [rows, columns], NaN where a value is missing. A distance is the sum over columns of the
difference of ranks of numbers, and of 1 where classes differ or one value is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from vae_pipeline.kinds.spec import Column
from vae_pipeline.metrics.detection import hanley_mcneil
from vae_pipeline.numerics.randomness import derive

Array = npt.NDArray[Any]
ROWS = 5_000
"""Rows of a set that are compared, at most."""
KNOWN = 1_000
"""Rows of either part whose values are guessed, at most."""
BINS = 10  # of a number that is guessed
BLOCK = 500  # rows that are compared at a time


@dataclass(frozen=True)
class Privacy:
    """Figures of drawn rows; each is a floor for the one before it, or its standard error."""

    copies: float
    copies_of_test: float
    nearer_to_training: float
    nearer_standard_error: float
    membership_auc: float
    membership_standard_error: float
    disclosure: float
    disclosure_of_test: float


def privacy(train: Array, test: Array, drawn: Array, columns: Sequence[Column], seed: int) -> Privacy:
    """Ask what the drawn rows tell of as many rows of training as there are held out."""
    choose = np.random.default_rng(derive(seed, "known rows"))
    count = min(len(train), len(test), ROWS)
    members, others = (rows[choose.permutation(len(rows))[:count]] for rows in (train, test))
    drawn = drawn[:ROWS]
    distance = RowDistance(np.concatenate([members, others]), columns)
    nearer = nearer_to(members, others, drawn, distance)
    member = membership(members, others, drawn, distance)
    return Privacy(
        copies=copies(train, drawn),
        copies_of_test=copies(train, test[:ROWS]),
        nearer_to_training=float(nearer.mean()),
        nearer_standard_error=float(nearer.std() / np.sqrt(len(nearer))),
        membership_auc=member,
        membership_standard_error=hanley_mcneil(member, count, count),
        disclosure=disclosure(members[:KNOWN], drawn, distance),
        disclosure_of_test=disclosure(others[:KNOWN], drawn, distance),
    )


def copies(train: Array, other: Array) -> float:
    """The share of the others that are rows of training, to the last digit."""
    return float((copied_rows(train, other) >= 0).mean())


def copied_rows(train: Array, other: Array) -> npt.NDArray[np.int64]:
    """The row of training that each of the others is, to the last digit; -1 where it is none."""
    known = {row.tobytes(): at for at, row in enumerate(np.ascontiguousarray(train, np.float32))}
    return np.array([known.get(row.tobytes(), -1) for row in np.ascontiguousarray(other, np.float32)], np.int64)


def nearer_to(members: Array, others: Array, drawn: Array, distance: "RowDistance") -> Array:
    """1 of each drawn row whose nearest row of both sets is a member, 0 where it is another, a half of equals."""
    near, far = (distance.nearest(drawn, side) for side in (members, others))
    return np.where(np.isclose(near, far, rtol=0, atol=1e-9), 0.5, np.where(near < far, 1.0, 0.0))


def membership(members: Array, others: Array, drawn: Array, distance: "RowDistance") -> float:
    """AUROC of telling members from others by the distance to the nearest drawn row.

    Source: Chen, Yu, Zhang and Fritz, GAN-Leaks, 2020, section 5.1 (the attack that needs the drawn rows alone).
    """
    near, far = (distance.nearest(side, drawn).round(9) for side in (members, others))
    ranks = rankdata(np.concatenate([near, far]))[len(near) :]
    return float((ranks.sum() - len(far) * (len(far) + 1) / 2) / (len(near) * len(far)))


def disclosure(known: Array, drawn: Array, distance: "RowDistance") -> float:
    """The share of values that are guessed right, each by the drawn row nearest to its own in all other columns.

    A class is right where it is the same, a number where it is in the same of ten bins of equally many rows.
    """
    right = []
    for block in distance.blocks(known):
        whole = distance(block, drawn)
        for at in range(len(distance.columns)):
            nearest = (whole - distance.of_column(block, drawn, at)).round(9).argmin(1)
            right.append(distance.classes(block, at) == distance.classes(drawn, at)[nearest])
    return float(np.concatenate(right).mean())


class RowDistance:
    """The distance of rows; ranks are those among the given rows."""

    def __init__(self, rows: Array, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.sorted = [np.sort(rows[~np.isnan(rows[:, at]), at]) for at in range(len(columns))]

    def __call__(self, first: Array, second: Array) -> Array:
        """[first, second]."""
        whole = np.zeros((len(first), len(second)))
        for at in range(len(self.columns)):
            whole += self.of_column(first, second, at)
        return whole

    def of_column(self, first: Array, second: Array, at: int) -> Array:
        """A column's part of the distance, [first, second]."""
        one, other = first[:, at], second[:, at]
        if self._is_class(at):
            one, other = np.nan_to_num(one, nan=-1), np.nan_to_num(other, nan=-1)
            differ: Array = (one[:, None] != other).astype(np.float64)
            return differ
        apart = np.abs(self._ranks(one, at)[:, None] - self._ranks(other, at))
        first_lacks, second_lacks = np.isnan(one)[:, None], np.isnan(other)
        found: Array = np.where(first_lacks | second_lacks, first_lacks != second_lacks, apart)
        return found

    def nearest(self, of: Array, among: Array) -> Array:
        """The distance of each row to the nearest of the others."""
        return np.concatenate([self(block, among).min(1) for block in self.blocks(of)])

    def blocks(self, rows: Array) -> list[Array]:
        """The rows, so many at a time that the distances to others need little memory."""
        return [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]

    def classes(self, rows: Array, at: int) -> Array:
        """The answers that are guessed of a column: classes, or tenths that numbers are in; -1 where one is missing."""
        values = rows[:, at] if self._is_class(at) else (BINS * self._ranks(rows[:, at], at)).clip(0, BINS - 1)
        return np.where(np.isnan(rows[:, at]), -1, np.nan_to_num(values)).astype(int)

    def _is_class(self, at: int) -> bool:
        return self.columns[at].kind in ("boolean", "category")

    def _ranks(self, values: Array, at: int) -> Array:
        known = self.sorted[at]
        both: Array = np.searchsorted(known, values) + np.searchsorted(known, values, "right")
        return both / (2 * max(1, len(known)))
