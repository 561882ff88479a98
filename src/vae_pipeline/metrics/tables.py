"""The rows that a model of a table draws, beside real ones: columns, pairs, and what tells them apart.

Rows are raw, [rows, columns], NaN where a value is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import ks_2samp

from vae_pipeline.kinds.spec import Column
from vae_pipeline.metrics.two_sample import classifier_auc
from vae_pipeline.numerics.randomness import derive

Array = npt.NDArray[Any]
ROWS = 5_000
"""Rows of a set that are compared, at most; rare categories are looked for in all."""
PAIRS = 5_000
"""Pairs of columns that are compared, about so many at most: all pairs of up to 100 columns."""
BINS = 10  # of a number beside a category
RARE = 0.01


@dataclass(frozen=True)
class Synthesis:
    """Figures of drawn rows, each beside what held-out rows come to in their place."""

    column_shapes: float
    column_shapes_of_test: float
    pair_trends: float | None
    """None where there is one column."""
    pair_trends_of_test: float | None
    rows_auc: float
    rows_auc_of_test: float
    missing_gap: float
    rare_kept: float | None
    """None where no category is rare."""
    rare_kept_of_test: float | None


def synthesis(train: Array, test: Array, drawn: Array, columns: Sequence[Column], seed: int) -> Synthesis:
    """Compare drawn rows, and test rows in their place, with those of training."""
    choose = np.random.default_rng(derive(seed, "rows"))
    some = train[np.sort(choose.permutation(len(train))[:ROWS])]
    held_out, made = test[:ROWS], drawn[:ROWS]
    many = len(columns) > 1
    return Synthesis(
        column_shapes=column_shapes(train, made, columns),
        column_shapes_of_test=column_shapes(train, held_out, columns),
        pair_trends=pair_trends(some, made, columns) if many else None,
        pair_trends_of_test=pair_trends(some, held_out, columns) if many else None,
        rows_auc=_auc(some, made, seed),
        rows_auc_of_test=_auc(some, held_out, seed),
        missing_gap=float(np.abs(np.isnan(train).mean(0) - np.isnan(made).mean(0)).max()),
        rare_kept=rare_kept(train, drawn, columns),
        rare_kept_of_test=rare_kept(train, test, columns),
    )


def column_shapes(real: Array, other: Array, columns: Sequence[Column]) -> float:
    """Mean over columns of 1 - the Kolmogorov-Smirnov statistic of numbers, or 1 - the total variation of classes.

    Values that are present are compared. Source: the metrics KSComplement and TVComplement of SDMetrics.
    """
    return float(np.mean([_shape(real[:, at], other[:, at], column) for at, column in enumerate(columns)]))


def _shape(real: Array, other: Array, column: Column) -> float:
    real, other = real[~np.isnan(real)], other[~np.isnan(other)]
    if not len(real) or not len(other):
        return float(len(real) == len(other))
    if column.kind in ("boolean", "category"):
        return 1 - _total_variation(real, other)
    # Its p-value isn't used; to find it exactly fails with a warning on some sets.
    return 1 - float(ks_2samp(real, other, method="asymp").statistic)


def _total_variation(real: Array, other: Array) -> float:
    values, places = np.unique(np.concatenate([real, other]), return_inverse=True)
    shares = [np.bincount(part, minlength=len(values)) / len(part) for part in np.split(places, [len(real)])]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def pair_trends(real: Array, other: Array, columns: Sequence[Column]) -> float:
    """Mean over pairs of columns: how alike two numbers are correlated, or how alike two columns' classes go together.

    Beside a class a number is put into ten bins of equal width, the outermost without an end, and a missing value is a
    class. Where there are more than `PAIRS` pairs, some at even distances are taken. Source: the metrics
    CorrelationSimilarity and ContingencySimilarity of SDMetrics.
    """
    classes = [column.kind in ("boolean", "category") for column in columns]
    binned = [_binned(real[:, at], other[:, at], classes[at]) for at in range(len(columns))]
    found = []
    pairs = list(combinations(range(len(columns)), 2))
    for first, second in pairs[:: -(-len(pairs) // PAIRS)]:
        if classes[first] or classes[second]:
            codes = [1_000 * binned[first][side] + binned[second][side] for side in (0, 1)]
            found.append(1 - _total_variation(*codes))
            continue
        correlations = [_correlation(rows[:, first], rows[:, second]) for rows in (real, other)]
        found.append(1 - abs(correlations[0] - correlations[1]) / 2)
    return float(np.mean(found))


def _binned(real: Array, other: Array, is_class: bool) -> tuple[Array, Array]:
    """Whole numbers for both sides, -1 where a value is missing."""
    if is_class:
        return np.nan_to_num(real, nan=-1), np.nan_to_num(other, nan=-1)
    present = real[~np.isnan(real)].astype(np.float64)
    edges = np.histogram_bin_edges(present, BINS)[1:-1] if len(present) else np.zeros(1)
    first, second = (
        np.where(np.isnan(values), -1, np.digitize(values.astype(np.float64), edges)) for values in (real, other)
    )
    return first, second


def _correlation(first: Array, second: Array) -> float:
    both = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[both].astype(np.float64), second[both].astype(np.float64)
    if len(first) < 2 or first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _auc(first: Array, second: Array, seed: int) -> float:
    count = min(len(first), len(second))
    return classifier_auc(first[:count], second[:count], derive(seed, "folds"))


def rare_kept(real: Array, other: Array, columns: Sequence[Column]) -> float | None:
    """The share of categories under 1 % of the real rows whose share among the others is within a factor of two."""
    kept = []
    for at, column in enumerate(columns):
        if column.kind != "category":
            continue
        for value in range(len(column.values)):
            share, found = (float((rows[:, at] == value).mean()) for rows in (real, other))
            if 0 < share < RARE:
                kept.append(share / 2 <= found <= 2 * share)
    return float(np.mean(kept)) if kept else None
