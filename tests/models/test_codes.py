"""Finite scalar quantisation beside values by hand, scipy, and sums over a whole codebook."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, entropy
from tests.contracts.test_models import batch, make

from vae_pipeline.metrics.codebook import codebook_use
from vae_pipeline.models.codes import CodePosterior, UniformCodes, bounded, half, nearest, rounded
from vae_pipeline.models.flow_matching import FlowMatchingSampler
from vae_pipeline.models.samplers import CodesSampler

ALL = {2: [-1, 0], 3: [-1, 0, 1], 5: [-1, -0.5, 0, 0.5, 1], 8: [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75]}
CODEBOOK = torch.tensor(list(itertools.product(ALL[5], ALL[2])))


def of_codes(conditional=False, shape=(1, 8, 8)):
    return make("residual", "residual", "gaussian_learned", conditional, shape, "finite_scalar", "uniform")


@pytest.mark.parametrize("count", ALL)
def test_numbers_are_rounded_to_each_level_and_to_no_other(count):
    levels = torch.tensor(float(count))
    codes = rounded(bounded(torch.linspace(-9, 9, 2001), levels), levels)
    assert codes.unique().tolist() == pytest.approx(ALL[count])
    assert (codes.diff() >= 0).all()
    assert half(levels) == count // 2


def test_values_by_hand():
    """tanh(y) 1.998 of five levels; of eight tanh(y + tan(0.5 / 3.4965)) 3.4965 - 0.5, after the paper's listing."""
    y = torch.tensor([-2.0, -0.3, 0.0, 0.25, 0.26, 1.0])
    five = np.tanh(y.numpy()) * 1.998
    np.testing.assert_allclose(bounded(y, torch.tensor(5.0)), five, rtol=1e-6)
    assert rounded(bounded(y, torch.tensor(5.0)), torch.tensor(5.0)).tolist() == [-1, -0.5, 0, 0, 0.5, 1]
    eight = np.tanh(y.numpy() + math.tan(0.5 / 3.4965)) * 3.4965 - 0.5
    np.testing.assert_allclose(bounded(y, torch.tensor(8.0)), eight, rtol=1e-5, atol=1e-6)
    assert rounded(bounded(y, torch.tensor(8.0)), torch.tensor(8.0)).tolist() == [-1, -0.25, 0, 0.25, 0.25, 0.5]


def test_the_gradient_passes_the_rounding():
    y = torch.linspace(-2, 2, 7, requires_grad=True)
    levels = torch.tensor(5.0)
    rounded(bounded(y, levels), levels).sum().backward()
    torch.testing.assert_close(y.grad, 1.998 * (1 - y.detach().tanh().square()) / 2)


def test_the_nearest_code_is_the_nearest_of_the_codebook():
    levels = torch.tensor([5.0, 2.0])
    z = 1.5 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    found = nearest(z, levels)
    assert torch.equal(found, CODEBOOK[torch.cdist(z, CODEBOOK).argmin(1)])
    assert torch.equal(nearest(found, levels), found)


def test_the_prior_has_the_moments_of_its_codebook_and_each_code_as_often():
    prior = UniformCodes(torch.tensor([5.0, 2.0]))
    torch.testing.assert_close(prior.mean, CODEBOOK.mean(0))
    torch.testing.assert_close(prior.variance, CODEBOOK.var(0, correction=0))
    assert prior.log_prob(CODEBOOK).exp().sum().item() == pytest.approx(1)
    torch.manual_seed(0)
    by_noise = CodesSampler(prior.levels)(torch.randn(10_000, 2))
    for drawn in (by_noise, prior.sample(torch.Size([10_000]))):
        which = torch.cdist(drawn, CODEBOOK)
        assert which.amin(1).max() == 0
        assert chisquare(np.bincount(which.argmin(1), minlength=10)).pvalue > 0.01


def test_a_point_is_itself_whatever_the_noise():
    code = CODEBOOK[:3]
    draw = CodePosterior(code).draw(torch.randn(4, 3, 2))
    assert torch.equal(draw.z, code.expand(4, 3, 2)) and torch.equal(draw.log_q(), torch.zeros(4, 3))
    assert CodePosterior(code).log_prob(code.flip(0)).tolist() == [-math.inf, 0, -math.inf]


def test_the_elbo_is_a_bound_on_the_sum_over_all_codes():
    model = of_codes(shape=(1, 2, 4)).eval()  # a map of two places, with 80 codes each
    x, _ = batch((1, 2, 4), 3)
    with torch.no_grad():
        inference = model(x)
        elbo = -(inference.distortion() + inference.rate())[0]
        assert inference.rate()[0].tolist() == pytest.approx([2 * math.log(80)] * 3)
        assert inference.log_weight()[0].tolist() == pytest.approx(elbo.tolist())
        each = list(itertools.product(ALL[5], ALL[8], ALL[2]))
        places = torch.tensor([[*zip(*pair, strict=True)] for pair in itertools.product(each, each)])
        likely = model.decode(places.reshape(-1, 1, 6)).log_prob(model.scaling(x)).logsumexp(0) - 2 * math.log(80)
    assert (elbo <= likely + 1e-4).all() and (likely - elbo).max() > 0.1


def test_draws_of_a_fitted_sampler_become_codes():
    model = of_codes()
    model.sampler = FlowMatchingSampler(model.latent_shape, 1, 4, 2)
    z = model.draw(torch.randn(5, model.noise, generator=torch.Generator().manual_seed(0)))
    found = z.unflatten(1, model.latent_shape)
    for channel, count in enumerate((5, 8, 2)):
        assert set(found[:, channel].unique().tolist()) <= set(ALL[count])
    assert len(found.unique()) > 5


@pytest.mark.parametrize("codes", [1, 7, 80])
def test_the_use_of_a_codebook_is_that_of_numpy_and_scipy(codes):
    model, draw = of_codes(), np.random.default_rng(codes)
    some = np.array(list(itertools.product(ALL[5], ALL[8], ALL[2])))[draw.permutation(80)[:codes]]
    places = some[np.concatenate([np.arange(codes), draw.integers(0, codes, 20 * 16 - codes)])]
    found = codebook_use(model, places.reshape(20, 16, 3).transpose(0, 2, 1).reshape(20, 48))
    counts = np.unique(places, axis=0, return_counts=True)[1]
    assert found.share == codes / 80 and found.size == 80
    assert found.perplexity == pytest.approx(np.exp(entropy(counts)))
    few = codebook_use(model, places[:16].T.reshape(1, 48))
    assert few.share == len(np.unique(places[:16], axis=0)) / 16  # no more could occur
