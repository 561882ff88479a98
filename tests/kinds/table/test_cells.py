"""The cells and the steps of columns."""

import numpy as np
import pytest

from vae_pipeline.kinds.table.cells import ROWS, cells_of, cores_of, step_of

DRAW = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([1, 3, 8], 1.0), ([1000, 3000, 9000], 2000.0), ([0.1, 0.25, 7], 0.15), ([1e6, 1e6 + 0.5], 0.5),
        ([-3, 9, 15], 6.0), ([5], 1.0), ([5, 5, 5], 1.0), ([0.25], 1.0), ([1 / 3], 0.0), ([1 / 3, 2 / 3], 0.0),
        ([1e300, 2e300], 0.0), ([0, 1e-9], 0.0), ([0, 1, 1e9], 0.0),
        (DRAW.normal(size=100), 0.0), (DRAW.normal(size=100).round(2), 0.01),
    ],
)  # fmt: skip
def test_a_step_is_what_all_differences_are_multiples_of(values, step):
    assert step_of(np.array(values, float), dates=False) == pytest.approx(step, rel=1e-9)


@pytest.mark.parametrize(("hours", "step"), [([0, 24, 240], 1.0), ([0, 6, 30], 0.25), ([0, 0.5, 1], 1 / 48)])
def test_a_step_of_dates_is_of_days_hours_or_minutes(hours, step):
    assert step_of(19_000 + np.array(hours) / 24, dates=True) == pytest.approx(step, rel=1e-6)


def shares(values, cells):
    return np.array([((values >= low) & (values <= high)).mean() for low, high in cells])


@pytest.mark.parametrize(
    "values",
    [
        DRAW.normal(size=5000), DRAW.lognormal(sigma=2, size=5000), DRAW.integers(0, 500, 5000),
        np.where(DRAW.random(5000) < 0.7, 0, DRAW.lognormal(size=5000)), DRAW.normal(size=200),
    ],
)  # fmt: skip
def test_cells_hold_each_value_once_and_none_holds_much_but_a_frequent_one(values):
    values = values.astype(np.float32)
    cells = cells_of(values, 64)
    share = shares(values, cells)
    assert share.sum() == pytest.approx(1)
    many = [at for at, (low, high) in enumerate(cells) if low < high]
    assert share[many].max() < 2 / min(64, len(values) // ROWS)
    assert len(cells) <= 64 + 2 * 10


def test_few_values_have_a_cell_each():
    assert cells_of(np.array([3, 1, 2, 2, 3] * 20, np.float32), 64) == ((1, 1), (2, 2), (3, 3))


def test_a_frequent_value_has_a_cell_of_its_own():
    values = np.concatenate([np.zeros(700), DRAW.lognormal(size=300)]).astype(np.float32)
    assert cells_of(values, 16)[0] == (0, 0)


def test_tails_are_cut_more_finely():
    share = shares(values := DRAW.normal(size=100_000).astype(np.float32), cells_of(values, 16))
    assert share[0] < 3e-4 and share[-1] < 3e-4 and share[len(share) // 2] == pytest.approx(1 / 16, rel=0.01)


@pytest.mark.parametrize(
    ("cells", "step", "ends"),
    [
        ([(0, 0), (114, 594)], 1.0, [(-0.5, 0.5), (-126, 834)]), ([(0, 0), (9, 10)], 2.0, [(-1, 1), (8, 11)]),
        ([(0, 0), (8, 16)], 0.0, [(-0.5, 0.5), (4, 20)]),
        ([(0, 0), (0.3, 0.3), (7, 7)], 0.0, [(-0.15, 0.15), (0.15, 0.45), (6.85, 7.15)]),
        ([(3, 3)], 0.0, [(2.5, 3.5)]),
    ],
)  # fmt: skip
def test_a_core_reaches_half_its_width_or_half_the_resolution_beyond_its_values(cells, step, ends):
    found = cores_of(cells, step)
    assert [core[1:3] for core in found] == cells
    assert np.array([[core[0], core[3]] for core in found]) == pytest.approx(np.array(ends, float))
