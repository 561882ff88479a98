"""Numbers that are told by the cells that they lie in."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from vae_pipeline.kinds.table.cells import cells_of, cores_of
from vae_pipeline.models.likelihoods.histogram import STRAY, Cells

FIRST = torch.tensor([[-9.0, 0.0, 0.0, 9.0], [-9.0, 1.0, 2.0, 9.0], [-9.0, 4.0, 4.5, 9.0]])
"""Cores that fill their cells."""
SECOND = torch.tensor([[-1.5, -1.0, -1.0, -0.5], [0.25, 1.0, 1.0, 1.75]])
LOGITS = torch.tensor([[-2.0, 1.0, 0.5, 0.0, -3.0], [-1.0, 0.3, 0.7, -1.5, 9.0]])
"""Below, the cells, and above; the second column has two cells, and what stands behind them isn't met."""


HISTOGRAM = Cells([FIRST, SECOND])(LOGITS)


def density(values, column):
    x = torch.tensor(values, dtype=torch.float32)
    return HISTOGRAM.log_prob(torch.stack([x, x], -1))[..., column].exp()


@pytest.mark.parametrize("column", [0, 1])
def test_the_density_is_one_over_the_line(column):
    bounds = [-40, -2, -1.5, -0.5, 0, 0.25, 0.5, 1.75, 2, 3, 4.75, 40]
    parts = [integrate.quad(lambda x: float(density([x], column)[0]), *ends)[0] for ends in pairwise(bounds)]
    assert sum(parts) == pytest.approx(1, abs=1e-4)


def test_a_cell_has_its_share_and_is_even_between_edges_half_way_to_its_neighbours():
    share = LOGITS[0].softmax(0)
    assert density([0.49, -0.49, 0.2], 0).numpy() == pytest.approx(float(share[1]) / 1.0, rel=1e-5)
    assert density([0.51, 1.5, 2.99], 0).numpy() == pytest.approx(float(share[2]) / 2.5, rel=1e-5)


def test_a_cell_is_even_in_its_core_and_next_to_empty_beside_it():
    share = LOGITS[1, :4].softmax(0)
    assert density([-1.9, -0.1], 1).numpy() == pytest.approx(float(share[1]) * STRAY / 2, rel=1e-5)
    assert density([-1.4, -0.6], 1).numpy() == pytest.approx(float(share[1]) * (1 - STRAY + STRAY / 2), rel=1e-5)
    assert density([0.3, 1.7], 1).numpy() == pytest.approx(float(share[2]) * ((1 - STRAY) / 1.5 + STRAY / 2), rel=1e-5)


def test_a_frequent_number_far_from_the_next_is_as_likely_as_it_is_often():
    """Beside the probability of whole numbers by scipy's log-normal and a tenth that isn't nought."""
    draw = np.random.default_rng(0)
    gains = np.where(draw.random(40_000) < 0.9, 0, 5000 + np.rint(draw.lognormal(7, 1, 40_000))).astype(np.float32)
    known, new = np.split(gains, 2)
    cells = Cells([torch.tensor(cores_of(cells_of(known, 64), 1.0)) / 1000])
    shares = cells.log_shares(torch.tensor(known)[:, None] / 1000, torch.ones(len(known), 1))
    found = cells(shares).log_prob(torch.tensor([*new, 100.0])[:, None] / 1000)[:, 0].numpy() - np.log(1000)
    edges = new[new > 0, None] - 5000 + [0.5, -0.5]
    wanted = np.log(-0.1 * np.diff(stats.lognorm(1, scale=np.exp(7)).cdf(edges)))
    assert found[:-1][new == 0] == pytest.approx(np.log(0.9), abs=0.05)
    assert found[:-1][new > 0].mean() == pytest.approx(wanted.mean(), abs=0.2)
    assert found[-1] < -12


def test_beyond_the_outermost_cells_it_falls_exponentially():
    share = LOGITS[0].softmax(0)
    away = np.array([0.5, 1.0, 7.0])
    assert density(-0.5 - away, 0).numpy() == pytest.approx(float(share[0]) * np.exp(-away), rel=1e-5)
    assert density(5.5 + away, 0).numpy() == pytest.approx(float(share[4]) * np.exp(-away), rel=1e-5)


def test_draws_are_of_the_density():
    torch.manual_seed(0)
    drawn = HISTOGRAM.sample(torch.Size([20_000])).numpy()
    for column in (0, 1):
        grid = np.linspace(-15, 15, 60_001)
        cumulated = np.cumsum(density(grid, column).numpy()) * (grid[1] - grid[0])
        found = stats.kstest(drawn[:, column], lambda x, cdf=cumulated, at=grid: np.interp(x, at, cdf))
        assert found.pvalue > 1e-3


def test_the_mean_is_that_of_the_middles():
    share = LOGITS[0].softmax(0).numpy()
    assert float(HISTOGRAM.mean[0]) == pytest.approx(share @ [-1.5, 0, 1.5, 4.25, 6.5], rel=1e-5)


def test_the_highest_density_is_that_of_some_value():
    values = np.linspace(-3, 7, 2001)
    for column in (0, 1):
        highest = float(HISTOGRAM.log_prob_expected()[column].exp())
        assert density(values, column).max() == pytest.approx(highest, rel=1e-5)


def test_shares_are_counted_of_present_values_alone():
    cells = Cells([FIRST])
    values, present = (
        torch.tensor([[0.0], [0.1], [1.5], [9.0], [1.2]]),
        torch.tensor([[1.0], [1.0], [1.0], [1.0], [0.0]]),
    )
    assert cells.log_shares(values, present)[0].exp().tolist() == pytest.approx([0.5, 2.5, 1.5, 0.5, 1.5])


def test_one_value_is_a_cell():
    one = Cells([torch.tensor([[2.5, 3.0, 3.0, 3.5]])])(torch.tensor([[-5.0, 5.0, -5.0]]))
    assert float(one.log_prob(torch.tensor([3.0]))[0]) == pytest.approx(0, abs=1e-3)
    assert float(one.log_prob(torch.tensor([30.0]))[0]) < -30
