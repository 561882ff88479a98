"""The ladder: a linear one beside scipy's exact density, and its posterior beside what it says of its own draws."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import nn

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.importance import importance_bound
from vae_pipeline.models.ladder import MOST_LOG_VARIANCE, LadderVAE
from vae_pipeline.models.likelihoods.gaussian import GaussianLikelihood
from vae_pipeline.models.nets.ladder import (
    MOST_LOG_SCALE,
    LadderDecoder,
    LadderEncoder,
    LadderHead,
    begin_small,
)
from vae_pipeline.models.nets.levels import LevelRow, levels_of
from vae_pipeline.models.priors import StandardNormalPrior
from vae_pipeline.models.scaling import Scaling

NOISE = 0.3  # the likelihood's scale
TOP, SLOPE, BOTTOM = (0.5, 0.8), 1.3, 0.6  # u1 ~ N(0.5, 0.8²), u2 ~ N(1.3 u1, 0.6²)
LOADINGS = np.array([[1.0, 0.4], [-0.5, 0.9], [0.3, -1.1]])  # E[x|u]
SHAPE = (1, 1, 3)


def bounded(value, most):
    """The output of the network for which `value` comes out of its soft bound."""
    return most * math.atanh(value / most)


@pytest.fixture(scope="module")
def oracle():
    """A linear ladder with its exact posterior; its means, covariances, and draws of it."""
    levels = levels_of(SHAPE, [LevelRow(2, 1, 1, 1), LevelRow(2, 1, 1, 3)])
    encoder = LadderEncoder(SHAPE, 0, levels, "silu")
    decoder = LadderDecoder(SHAPE, 0, 1, levels, "silu")
    heads = nn.ModuleList(LadderHead(level, "silu") for level in levels)
    decoder.output[-2] = nn.Identity()  # the normalisation isn't linear
    # In units of the prior: x = offset + from_z z + noise.
    to_u = np.array([[TOP[1], 0], [SLOPE * TOP[1], BOTTOM]])
    from_z, offset = LOADINGS @ to_u, LOADINGS @ np.array([TOP[0], SLOPE * TOP[0]])
    covariance = np.linalg.inv(np.eye(2) + from_z.T @ from_z / NOISE**2)
    gain = covariance @ from_z.T / NOISE**2
    slope = (
        covariance[1, 0] / covariance[0, 0]
    )  # E[z2 | z1, x] = gain_2 (x - offset) + slope (z1 - gain_1 (x - offset))
    left = covariance[1, 1] - slope * covariance[1, 0]
    with torch.no_grad():
        for module in (*encoder.parameters(), *decoder.parameters(), *heads.parameters()):
            module.zero_()
        (top, bottom), (way,) = decoder.levels, decoder.ways
        top.prior.bias.copy_(torch.tensor([TOP[0], bounded(math.log(TOP[1]), MOST_LOG_SCALE)]))
        top.input.weight[0, 0] = 1  # the state's first channel is u1, its second u2
        way[-1].layers[0].weight[:, :, 0, 0] = torch.eye(2)
        bottom.prior.weight[0, 0] = SLOPE
        bottom.prior.bias[1] = bounded(math.log(BOTTOM), MOST_LOG_SCALE)
        bottom.input.weight[1, 0] = 1
        last = decoder.output[-1].layers[0]
        last.weight[:3, :, 0, 0] = torch.tensor(LOADINGS)  # the first row of a 3 x 3 patch
        low, high = encoder.levels
        low[0].weight[:, 0, 0] = torch.tensor(np.stack([gain[0], gain[1] - slope * gain[0]]))
        low[0].bias.copy_(-torch.einsum("oi,i->o", low[0].weight[:, 0, 0], torch.tensor(offset).float()))
        high[0].weight[:, :, 0, 0] = torch.eye(2)
        for head, variance in zip(heads, (covariance[0, 0], left), strict=True):
            head.layers[0].weight[:, :2, 0, 0] = 0
            head.layers[-1].weight[0, 0] = 1
            head.layers[-1].bias[1] = bounded(math.log(variance), MOST_LOG_VARIANCE)
        heads[0].layers[0].weight[0, 2] = 1  # of the features, the first
        heads[1].layers[0].weight[0, 3] = 1  # the second, and z1 as the state tells it
        heads[1].layers[0].weight[0, 0] = slope / TOP[1]
        heads[1].layers[0].bias[0] = -slope * TOP[0] / TOP[1]
    likelihood = GaussianLikelihood(SHAPE, NOISE)
    model = LadderVAE(Scaling(0, 1), encoder, heads, StandardNormalPrior(2), decoder, likelihood).eval()
    exact = multivariate_normal(offset, from_z @ from_z.T + NOISE**2 * np.eye(3))
    x = exact.rvs(200, random_state=0).astype(np.float32)
    return model, x, exact, (gain, offset, covariance)


def test_with_the_exact_posterior_every_weight_is_log_p(oracle):
    model, x, exact, _ = oracle
    bound = importance_bound(model, Split(x.reshape(-1, *SHAPE), None), 1, 0, torch.device("cpu")).bound
    np.testing.assert_allclose(bound, exact.logpdf(x), atol=1e-3)


def test_draws_of_the_posterior_have_its_correlation(oracle):
    """Levels that depend on those above give what a diagonal Gaussian can't."""
    model, x, _, (gain, offset, covariance) = oracle
    torch.manual_seed(0)
    with torch.inference_mode():
        posterior = model.encode(torch.from_numpy(x[:1]).reshape(1, *SHAPE))
        z = posterior.rsample([100_000])[:, 0].double().numpy()
        mean, variance = posterior.mean[0].numpy(), posterior.variance[0].numpy()
    assert abs(covariance[0, 1]) > 0.3 * math.sqrt(covariance[0, 0] * covariance[1, 1])
    np.testing.assert_allclose(np.cov(z.T), covariance, rtol=0.03, atol=1e-3)
    np.testing.assert_allclose(z.mean(0), gain @ (x[0] - offset), atol=0.01)
    np.testing.assert_allclose(mean, gain @ (x[0] - offset), atol=1e-4)
    slope = covariance[1, 0] / covariance[0, 0]
    conditional = [covariance[0, 0], covariance[1, 1] - slope * covariance[1, 0]]
    np.testing.assert_allclose(variance, conditional, rtol=1e-4)


def test_ancestral_draws_have_the_models_moments(oracle):
    model, _, exact, _ = oracle
    noise = torch.randn(200_000, model.noise, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        x_mean = model.decode(model.draw(noise)).mean.flatten(1).double().numpy()
    np.testing.assert_allclose(x_mean.mean(0), exact.mean, atol=0.01)
    np.testing.assert_allclose(np.cov(x_mean.T) + NOISE**2 * np.eye(3), exact.cov, atol=0.03)


@pytest.fixture
def drawn():
    """A ladder of random weights, far enough from its start that q differs from p, and one pass of many draws."""
    torch.manual_seed(0)
    levels = levels_of((1, 6, 6), [LevelRow(8, 3, 1, 3), LevelRow(4, 1, 1, 2)])
    decoder = LadderDecoder((1, 6, 6), 0, 1, levels, "silu")
    parts = (LadderEncoder((1, 6, 6), 0, levels, "silu"), nn.ModuleList(LadderHead(level, "silu") for level in levels))
    likelihood = GaussianLikelihood((1, 6, 6), 1.0)
    model = LadderVAE(Scaling(0, 1), *parts, StandardNormalPrior(12), decoder, likelihood).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        x = torch.rand(4, 1, 6, 6)
        return model, x, model(x, samples=20_000)


def test_the_rate_is_the_mean_of_what_the_draws_say(drawn):
    _, _, inference = drawn
    differences = inference.rate() - (inference.posterior.log_prob(inference.z) - inference.prior.log_prob(inference.z))
    error = differences.std(0) / math.sqrt(len(differences))
    assert (inference.rate().mean(0) > 1).all()
    assert (differences.mean(0).abs() < 4 * error).all()
    torch.testing.assert_close(inference.rates().sum(-1), inference.rate())


def test_another_walk_with_the_same_latents_says_the_same(drawn):
    model, x, inference = drawn
    z = inference.z[:7]
    posterior = model.encode(x)
    torch.testing.assert_close(posterior.log_prob(z), inference.posterior.log_prob(inference.z)[:7])
    torch.testing.assert_close(model.decode(z).mean, inference.likelihood.mean[:7])
    torch.testing.assert_close(posterior.draw(torch.zeros(4, 12)).z, posterior.mean)


def test_a_lower_level_is_inferred_from_what_was_drawn_above(drawn):
    model, x, _ = drawn
    posterior = model.encode(x)
    z = posterior.mean.clone()
    z[:, 0] += 1
    moved = (posterior.at(z).posterior.mean - posterior.mean).abs().amax(0)
    assert (moved[:3] < 1e-6).all()
    assert (moved[3:] > 1e-4).all()


def test_levels_of_one_row_lie_on_one_map_and_read_the_same_features():
    levels = levels_of(
        (3, 9, 14), [LevelRow(8, 2, 1, 9), LevelRow(8, 1, 1, 1, repeat=2), LevelRow(4, 1, 2, 2, repeat=3)]
    )
    assert [level.side for level in levels] == [(1, 1), *[(5, 7)] * 5]
    assert [level.stride for level in levels] == [7, 1, 1, 1, 1, 2]
    encoder = LadderEncoder((3, 9, 14), 0, levels, "silu")
    features = encoder(torch.rand(2, 3, 9, 14), None)
    assert len(encoder.levels) == 3
    assert [map_.shape[1] for map_ in features] == [8, 8, 8, 4, 4, 4]
    assert features[1] is features[2] and features[3] is features[4] is features[5]


def test_a_deep_ladder_begins_with_no_more_variance_than_a_shallow_one():
    """What is added to the residual state shrinks with the number of blocks, and no level tells anything yet."""

    def begun(repeat):
        torch.manual_seed(0)
        levels = levels_of((1, 8, 8), [LevelRow(16, 2, 1, 2, repeat)])
        heads = nn.ModuleList(LadderHead(level, "silu") for level in levels)
        decoder = LadderDecoder((1, 8, 8), 0, 1, levels, "silu", residual=True)
        encoder = LadderEncoder((1, 8, 8), 0, levels, "silu")
        begin_small(encoder, heads, decoder)
        likelihood, prior = GaussianLikelihood((1, 8, 8), 1.0), StandardNormalPrior(sum(decoder.sizes))
        model = LadderVAE(Scaling(0, 1), encoder, heads, prior, decoder, likelihood).eval()
        inference = model(torch.rand(16, 1, 8, 8))
        return inference.draw.state.var().item(), (inference.rate() / model.latents).mean().item()

    (shallow, _), (deep, rate) = begun(2), begun(24)
    assert deep < 1.5 * shallow
    assert rate < 0.02
