"""Rows that are drawn from p(x|z) by numbers that are given."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from vae_pipeline.kinds.spec import Column
from vae_pipeline.kinds.table.cells import cores_of
from vae_pipeline.models.likelihoods.histogram import Cells
from vae_pipeline.models.likelihoods.layout import Layout
from vae_pipeline.models.likelihoods.mixed import RowDistribution
from vae_pipeline.models.likelihoods.rows import RowDraw
from vae_pipeline.models.nets.pool import Pool
from vae_pipeline.models.scaling import TableScaling

LINE = ((-100.0, -10.0), (100.0, 10.0))
COLUMNS = (
    Column("colour", "category", True, ((0.0, 0.0), (3.0, 3.0)), ("red", "green", "blue")),
    Column("height", "number", False, LINE, extent=(-50.0, 50.0)),
    Column("age", "number", True, LINE, step=0.5, extent=(-20.0, 20.0)),
    Column("new", "boolean", False, ((0.0, 0.0), (1.0, 1.0))),
    Column("gain", "number", False, LINE, step=1.0, extent=(0.0, 9.0), cells=((0.0, 0.0), (2.0, 4.0), (9.0, 9.0))),
    Column("when", "date", False, LINE, extent=(0.0, 7.5), cells=((0.0, 0.0), (5.0, 7.5))),
)
LAYOUT = Layout(
    ("category", "number", "number", "boolean", "histogram", "histogram"), tuple(map(Pool, (3, 0, 0, 0, 0, 0))),
    tuple(column.missing for column in COLUMNS),
)  # fmt: skip
SCALING = TableScaling([column.knots for column in COLUMNS])
COUNT = 50_000
COLOURS = torch.tensor([0.5, 0.0, -1.0, 3.0])
CELLS = torch.tensor([[-3.0, 1.0, 0.0, 0.5, 4.0], [2.0, 0.2, 0.9, 5.0, 5.0]])


def row(degrees=None, count=COUNT):
    cells = Cells([torch.tensor(cores_of(column.cells, column.step)) / 10 for column in COLUMNS[4:]])
    mean, likely, presence = torch.tensor([1.0, -0.5]), torch.tensor([0.4]), torch.tensor([2.0, 0.0])
    return RowDistribution(
        LAYOUT,
        mean.expand(count, 2),
        torch.tensor([0.5, 0.25]),
        likely.expand(count, 1),
        [COLOURS.expand(count, 4)],
        presence.expand(count, 2),
        None if degrees is None else torch.tensor([degrees, degrees]),
        cells(CELLS.expand(count, 2, 5)),
    )


def drawn(degrees=None, bounded=False):
    draw = RowDraw(LAYOUT, COLUMNS, bounded)
    uniform = torch.rand(COUNT, draw.uniform, generator=torch.Generator().manual_seed(0)).clamp(1e-6, 1 - 1e-6)
    found = draw.drawn(row(degrees), uniform, SCALING)
    return np.where(found.present > 0, found.values, np.nan).astype(np.float64), found


def near(count, share):
    return count == pytest.approx(share * COUNT, abs=5 * np.sqrt(share * (1 - share) * COUNT) + 1)


def test_classes_booleans_and_gaps_are_as_often_as_they_are_likely():
    x, _ = drawn()
    there = ~np.isnan(x[:, 0])
    assert near(there.sum(), 1 / (1 + np.exp(-2))) and near(np.isnan(x[:, 2]).sum(), 0.5)
    share = COLOURS[:3].softmax(0).numpy()  # the class that training never saw isn't drawn
    counts = np.bincount(x[there, 0].astype(int), minlength=3)
    assert counts / there.sum() == pytest.approx(share, abs=0.01) and len(counts) == 3
    assert near(x[:, 3].sum(), 1 / (1 + np.exp(-0.4)))


def test_gaps_dont_depend_on_values():
    x, found = drawn()
    assert abs(np.corrcoef(found.present[:, 2], found.values[:, 2])[0, 1]) < 0.02
    assert abs(np.corrcoef(np.isnan(x[:, 0]), np.isnan(x[:, 2]))[0, 1]) < 0.02


@pytest.mark.parametrize("degrees", [None, 3.0])
def test_numbers_are_of_their_family(degrees):
    x, _ = drawn(degrees)
    family = stats.norm(10, 5) if degrees is None else stats.t(degrees, 10, 5)
    inside = np.abs(x[:, 1]) < 99  # the scaling ends there
    assert inside.mean() > 0.995
    assert stats.kstest(x[inside, 1], family.cdf).pvalue > 1e-3


def test_numbers_with_a_step_are_multiples_of_it():
    x, _ = drawn()
    steps = x[~np.isnan(x[:, 2]), 2] / 0.5
    assert (steps == np.rint(steps)).all() and steps.std() > 1


def test_numbers_are_bounded_where_that_is_asked_for():
    free, bounded = drawn(3.0)[0], drawn(3.0, bounded=True)[0]
    assert np.nanmax(np.abs(free[:, 1])) > 50 and np.nanmax(np.abs(bounded[:, 1])) == 50
    assert np.nanmax(np.abs(bounded[:, 2])) <= 20


def test_cells_are_as_often_as_they_are_likely_and_even_within():
    x, _ = drawn()
    share = CELLS[0, 1:4].softmax(0).numpy()
    values, counts = np.unique(x[:, 4], return_counts=True)
    assert values.tolist() == [0, 2, 3, 4, 9]
    assert counts / COUNT == pytest.approx([share[0], *[share[1] / 3] * 3, share[2]], abs=0.01)
    share = CELLS[1, 1:3].softmax(0).numpy()
    assert near((x[:, 5] == 0).sum(), float(share[0]))
    assert stats.kstest(x[x[:, 5] > 0, 5], stats.uniform(5, 2.5).cdf).pvalue > 1e-3


def test_rows_that_rounding_decides_are_doubtful():
    """Another runtime's numbers differ by a part in a million of a scaled unit, which makes another step seldom."""
    fine = [replace(column, step=0.01 if column.kind == "number" else column.step) for column in COLUMNS]
    draw = RowDraw(LAYOUT, fine, bounded=False)
    uniform = torch.rand(10_000, draw.uniform, generator=torch.Generator().manual_seed(2)).clamp(1e-6, 1 - 1e-6)
    moved = TableScaling([[(raw + 1.5e-5, scaled) for raw, scaled in column.knots] for column in COLUMNS])
    found, again = (draw.drawn(row(count=10_000), uniform, scaling) for scaling in (SCALING, moved))
    other = ((found.values - again.values).abs()[:, 1:3] > 0.005).any(-1)
    assert 10 < other.sum() < 200 and found.doubtful[other].all() and found.doubtful.float().mean() < 0.1


def test_rows_near_a_bound_are_doubtful():
    draw = RowDraw(LAYOUT, COLUMNS, bounded=False)
    bound = float(COLOURS[:3].softmax(0)[0])
    sure = torch.full([3, draw.uniform], 0.4)
    sure[1, 1], sure[2, 1] = bound + 1e-7, bound - 1e-7
    found = draw.drawn(row(count=3), sure, SCALING)
    assert found.doubtful.tolist() == [False, True, True] and found.values[1, 0] != found.values[2, 0]
