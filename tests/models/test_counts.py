"""Counts: their probabilities, their totals and their draws, beside scipy's."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import special, stats
from tests.models.test_columns import model

from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.models.build import build
from vae_pipeline.models.likelihoods.count_columns import CountColumns, CountRows
from vae_pipeline.models.likelihoods.counts import Counts, remainder
from vae_pipeline.models.likelihoods.drawn_counts import EVEN, drawn
from vae_pipeline.system.errors import RecipeError

FAMILIES = ("poisson", "negative_binomial", "zero_inflated_poisson", "zero_inflated_negative_binomial")
RATES = np.float32([1e-3, 0.2, 3, 40, 1000, 2e4])
VALUES = np.float32([0, 1, 2, 7, 40, 1000, 20_300, 1e6])[:, None]
LINE = ((-10.0, -10.0), (10.0, 10.0))
SPEC = TableSpec(
    (
        Column("a", "number", False, LINE, step=1.0, extent=(0.0, 90.0)),
        Column("kind", "category", False, ((0.0, 0.0), (2.0, 2.0)), ("x", "y")),
        Column("height", "number", False, LINE),
        Column("b", "number", True, LINE, step=1.0, extent=(0.0, 9.0)),
        Column("none", "number", False, LINE, step=1.0, extent=(0.0, 0.0)),
    ),
    (),
    counts=("a", "b", "none"),
    totals=tuple(np.linspace(2, 40, 101)),
)
ROWS = torch.tensor([[3.0, 0, 1.5, 4, 0], [0, 1, 0, 0, 0], [1e9, 1, -2, torch.nan, 7], [90, 2, 0, 3, 0]])


def likelihood(family, library, **more):
    return {"kind": "mixed", "scale": "learned_per_column", "counts": {"family": family, "library": library}, **more}


def test_the_remainder_of_stirling_is_scipys():
    y = np.logspace(-3.5, 8, 300).astype(np.float32)
    wanted = special.gammaln(y.astype(float)) - special.xlogy(y, y.astype(float)) + y
    np.testing.assert_allclose(remainder(torch.from_numpy(y)), wanted, atol=3e-6)


@pytest.mark.parametrize("size", [None, 1e-3, 0.5, 3.0, 100.0, 1e5])
@pytest.mark.parametrize("inflation", [None, -3.0, 2.0])
def test_probabilities_are_scipys(size, inflation):
    """In float32, relative to 1 + |log p|."""
    size = None if size is None else float(np.float32(size))
    rates = RATES.astype(float)
    law = stats.poisson(rates) if size is None else stats.nbinom(size, size / (size + rates))
    wanted = law.logpmf(VALUES.astype(float))
    if inflation is not None:
        share = special.expit(inflation)
        others = np.log1p(-share) + wanted
        wanted = np.where(VALUES == 0, np.logaddexp(np.log(share), others), others)
    given = (None if each is None else torch.tensor(each) for each in (size, inflation))
    found = Counts(torch.from_numpy(RATES), *given).log_prob(torch.from_numpy(VALUES)).numpy()
    assert (np.abs(found - wanted) / (1 + np.abs(wanted))).max() < 1e-5


def test_the_likeliest_count_is_the_likeliest():
    counts = Counts(torch.tensor([0.5, 7.3, 12.0]), torch.tensor([0.4, 3.0, 50.0]), torch.tensor([-1.0, 1.0, -9.0]))
    each = counts.log_prob(torch.arange(60.0)[:, None])
    torch.testing.assert_close(counts.log_prob_expected(), each.amax(0))
    assert torch.allclose((each.exp() * torch.arange(60.0)[:, None]).sum(0)[2], counts.mean[2], rtol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("library", [False, True])
def test_a_model_of_counts_keeps_its_contract(family, library):
    """With a count column of zeros, a gap, a category and a number beside them, and a count of 1e9."""
    torch.manual_seed(0)
    built = build(model(likelihood=likelihood(family, library)), SPEC)
    inference = built(ROWS, samples=2)
    for term in (inference.distortion(), inference.rate()):
        assert term.shape == (2, 4) and torch.isfinite(term).all()
    rows = inference.likelihood
    assert (
        torch.isfinite(rows.log_prob(rows.sample())).all() and (rows.deviance_by_element(inference.target) >= 0).all()
    )
    assert rows.mean.shape == (2, 4, 5) and torch.isfinite(rows.squared_error_by_element(inference.target)).all()
    inference.distortion()[:, [0, 1, 3]].mean().backward()
    assert all(each.grad is None or torch.isfinite(each.grad).all() for each in built.parameters())
    assert all(each.grad.abs().sum() > 0 for each in built.likelihood.parameters())
    torch.testing.assert_close(built.scaling(ROWS)[:, 0, [0, 4]], ROWS[:, [0, 4]])
    torch.testing.assert_close(built.scaling.inverse(rows.mean)[..., 0], rows.mean[..., 0])


def test_a_library_shares_out_what_is_there():
    """Of Poisson counts with a total that is given it is torch's multinomial, times Poisson's of the total."""
    rows = CountRows(torch.tensor([[0.3, -1.0, 2.0]]), None, None, torch.tensor([5.0, 9.0]))
    values, present = torch.tensor([[2.0, 0.0, 5.0]]), torch.tensor([[1.0, 0.0, 1.0]])
    found = (rows.of(values, present).log_prob(values) * present).sum()
    shares = torch.distributions.Multinomial(7, logits=torch.tensor([0.3, 2.0])).log_prob(torch.tensor([2.0, 5.0]))
    torch.testing.assert_close(found, shares + torch.distributions.Poisson(7.0).log_prob(torch.tensor(7.0)))
    assert float(rows.typical().mean.sum()) == pytest.approx(7.0)
    assert rows.total(torch.tensor([[0.25]])).tolist() == [[6.0]]


@pytest.mark.parametrize("size", [None, 0.1, 2.0])
@pytest.mark.parametrize("mean", [0.3, 9.0, 60.0, 3000.0])
def test_draws_have_scipys_distribution(size, mean):
    count = 20_000
    even = torch.rand(count, 1, EVEN, generator=torch.Generator().manual_seed(0)).clamp(2.0**-24, 1 - 2.0**-24)
    rows = CountRows(
        torch.full((count, 1), mean).log(), None if size is None else torch.tensor([size]), None, torch.zeros(0)
    )
    found = drawn(rows, even)[0].numpy().ravel()
    law = stats.poisson(mean) if size is None else stats.nbinom(size, size / (size + mean))
    values, counts = np.unique(found, return_counts=True)
    assert np.abs(counts.cumsum() / count - law.cdf(values)).max() < 1.6 / np.sqrt(count) + 0.0015


def test_zeros_beyond_those_that_are_expected_are_drawn_by_their_share():
    even = torch.rand(20_000, 1, EVEN, generator=torch.Generator().manual_seed(0)).clamp(2.0**-24, 1 - 2.0**-24)
    rows = CountRows(torch.full((20_000, 1), 3.0).log(), None, torch.tensor([1.0]), torch.zeros(0))
    share = special.expit(1.0)
    wanted = share + (1 - share) * np.exp(-3.0)
    assert float((drawn(rows, even)[0] == 0).float().mean()) == pytest.approx(wanted, abs=4 * 0.0032)


def test_the_baseline_finds_what_counts_were_drawn_with():
    draw = np.random.default_rng(0)
    counts = draw.poisson(draw.gamma(2.0, [[2.0, 5.0]], (5_000, 2)))
    counts[draw.random(counts.shape) < 0.3] = 0
    values = torch.from_numpy(counts).double()
    columns = CountColumns("zero_inflated_negative_binomial", [1.0, 1.0], (), False)
    found = columns.independent(values, torch.ones_like(values))
    assert found.output.exp().tolist() == pytest.approx([4.0, 10.0], rel=0.08)
    assert found.size.tolist() == pytest.approx([2.0, 2.0], rel=0.2)
    assert found.inflation.sigmoid().tolist() == pytest.approx([0.3, 0.3], abs=0.04)


def test_models_that_do_not_fit_counts_are_refused():
    with pytest.raises(RecipeError, match=r"prepared with data.counts \(a, b, none\), and model.likelihood.counts"):
        build(model(), SPEC)
    one = dataclasses.replace(SPEC, counts=("a",))
    with pytest.raises(RecipeError, match="shares a total out among columns, and one alone counts"):
        build(model(likelihood=likelihood("poisson", True)), one)
