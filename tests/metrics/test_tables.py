"""Drawn rows beside real ones."""

from itertools import combinations

import numpy as np
import pytest

from vae_pipeline.kinds.spec import Column
from vae_pipeline.metrics import tables

LINE = ((0.0, 0.0), (1.0, 1.0))
COLUMNS = (
    Column("a", "number", True, LINE),
    Column("b", "number", False, LINE),
    Column("c", "category", True, LINE, ("x", "y", "z")),
    Column("d", "category", False, LINE, ("p", "q")),
)


@pytest.fixture(scope="module")
def sets():
    """The rows of two seeds of one process, the second 0.3 higher in its first column."""
    draw = np.random.default_rng(0)

    def rows(shift, count=500):
        a = draw.normal(shift, 1, count)
        b = 0.5 * a + draw.normal(size=count)
        c = draw.choice(3, count, p=[0.5, 0.3, 0.2]).astype(float)
        d = (a + draw.normal(size=count) <= 0).astype(float)
        a = np.where(draw.random(count) < 0.1, np.nan, a)
        c = np.where(draw.random(count) < 0.1, np.nan, c)
        return np.stack([a, b, c, d], 1)

    return rows(0.0), rows(0.3)


def test_columns_are_compared_as_sdmetrics_does(sets):
    real, other = sets
    found = [tables.column_shapes(real[:, at : at + 1], other[:, at : at + 1], COLUMNS[at : at + 1]) for at in range(4)]
    # SDMetrics 0.32.0: KSComplement, KSComplement, TVComplement, TVComplement
    assert found == pytest.approx([0.8420397383038135, 0.862, 0.9765134632546127, 0.862], abs=1e-12)
    assert tables.column_shapes(real, other, COLUMNS) == pytest.approx(np.mean(found))


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [(0, 1, 0.992691140191649), (2, 3, 0.858), (0, 2, 0.814), (0, 3, 0.832), (1, 2, 0.818), (1, 3, 0.84)],
)
def test_pairs_are_compared_as_sdmetrics_does(sets, first, second, wanted):
    """SDMetrics 0.32.0: CorrelationSimilarity of two numbers, ContingencySimilarity of all others."""
    at = [first, second]
    found = tables.pair_trends(sets[0][:, at], sets[1][:, at], [COLUMNS[each] for each in at])
    assert found == pytest.approx(wanted, abs=1e-9)


def test_of_very_many_pairs_some_are_compared(sets, monkeypatch):
    each = [
        tables.pair_trends(sets[0][:, at], sets[1][:, at], [COLUMNS[index] for index in at])
        for at in map(list, combinations(range(len(COLUMNS)), 2))
    ]
    assert tables.pair_trends(*sets[:2], COLUMNS) == pytest.approx(np.mean(each))
    monkeypatch.setattr(tables, "PAIRS", 2)
    step = -(-len(each) // 2)
    assert tables.pair_trends(*sets[:2], COLUMNS) == pytest.approx(np.mean(each[::step]))


def test_shapes_of_nearly_equal_columns_are_found_without_a_warning():
    real, other = np.zeros((900, 1)), np.zeros((900, 1))  # scipy's exact p-value fails on these
    real[0] = 1
    assert tables.column_shapes(real, other, COLUMNS[:1]) == pytest.approx(1 - 1 / 900)


def test_equal_sets_are_equal_whatever_they_hold(sets):
    real = sets[0]
    empty = np.stack([np.full(20, np.nan), np.ones(20)], 1)
    for rows, columns in ((real, COLUMNS), (empty, COLUMNS[:2])):
        assert tables.column_shapes(rows, rows, columns) == pytest.approx(1)
        assert tables.pair_trends(rows, rows, columns) == pytest.approx(1)
    assert tables.column_shapes(empty, np.ones((20, 2)), COLUMNS[:2]) == 0.5


def test_a_category_is_kept_within_a_factor_of_two(monkeypatch):
    columns = (Column("c", "category", False, LINE, ("often", "kept", "lost", "swollen", "never")),)
    real = np.repeat([0.0, 1, 2, 3], [970, 9, 9, 9])[:, None]
    other = np.repeat([0.0, 1, 2, 3], [970, 5, 4, 19])[:, None]
    assert tables.rare_kept(real, other, columns) == pytest.approx(1 / 3)
    assert tables.rare_kept(real[:970], other, columns) is None
    monkeypatch.setattr(tables, "ROWS", 100)  # which hold none of the rare ones
    found = tables.synthesis(real, real, other, columns, 0)
    assert (found.rare_kept, found.rare_kept_of_test) == (pytest.approx(1 / 3), 1)


def test_test_rows_are_measured_in_the_place_of_drawn_ones(sets):
    found = tables.synthesis(sets[0], sets[1], sets[1], COLUMNS, 0)
    assert found.column_shapes == found.column_shapes_of_test and found.pair_trends == found.pair_trends_of_test
    assert found.rows_auc == found.rows_auc_of_test
    assert found.missing_gap == pytest.approx(np.abs(np.isnan(sets[0]).mean(0) - np.isnan(sets[1]).mean(0)).max())
    assert 0.52 < found.rows_auc < 0.75
