"""q(z) of posteriors that stand where the test puts them; what it comes to is known in closed form."""

import numpy as np
import pytest
import torch
from scipy.stats import gaussian_kde, multivariate_normal
from tests.contracts.test_models import make, wake
from torch import nn

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.aggregate import aggregate, lower_bound
from vae_pipeline.metrics.bounds import elbo_terms, standard_error
from vae_pipeline.models.likelihoods.bernoulli import BernoulliLikelihood
from vae_pipeline.models.posteriors import GaussianPosterior
from vae_pipeline.models.priors import MixturePrior, StandardNormalPrior
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.vae import VAE

CPU = torch.device("cpu")


class Flat(nn.Module):
    def forward(self, x, label):
        return x.flatten(1)


class Grey(nn.Module):
    def forward(self, z):
        return torch.zeros(len(z), 1, 1, 1, 1)


def standing_at(means, scale, prior=None):
    """A model and data whose posteriors have these means [examples, latents] and one scale."""
    latents = means.shape[1]
    posterior = GaussianPosterior(latents, latents)
    with torch.no_grad():
        posterior.mean.weight.copy_(torch.eye(latents))
        posterior.log_variance.weight.zero_()
        posterior.log_variance.bias.fill_(2 * np.log(scale))
    prior = StandardNormalPrior(latents) if prior is None else prior
    model = VAE(Scaling(0, 1), Flat(), posterior, prior, Grey(), BernoulliLikelihood(3))
    return model, Split(means.astype(np.float32).reshape(-1, 1, 1, latents), None)


def test_posteriors_that_are_all_alike_carry_nothing():
    found = aggregate(*standing_at(np.full((300, 2), 0.7), 0.5), 0, CPU)
    kl = 2 * 0.5 * (0.49 + 0.25 - 1 - np.log(0.25))
    assert found.mutual_information == pytest.approx(0, abs=1e-5)
    assert found.aggregate_kl == pytest.approx(kl, abs=1e-4)
    assert found.total_correlation == pytest.approx(0, abs=1e-5)
    assert found.dimensionwise_kl == pytest.approx(kl, abs=1e-4)


def test_posteriors_far_apart_carry_log_n_and_say_nothing_else():
    found = aggregate(*standing_at(np.stack([np.arange(2500.0), np.zeros(2500)], 1), 0.01), 0, CPU)
    assert found.mutual_information == pytest.approx(np.log(2500), abs=1e-3)
    assert found.mutual_information <= found.cap == np.log(2500)
    assert found.aggregate_kl is None and found.total_correlation is None and found.dimensionwise_kl is None


def test_few_narrow_posteriors_of_the_prior_are_not_taken_for_a_wrong_aggregate():
    """Means of N(0, 1 - s²), so that q(z) of all that there might be is the prior; log 200 is 5.3 nats."""
    scale = 0.1
    means = np.sqrt(1 - scale**2) * np.random.default_rng(0).standard_normal((200, 6))
    model, split = standing_at(means, scale)
    found = aggregate(model, split, 0, CPU)
    assert elbo_terms(model, split, 0, CPU).rate.mean() - found.mutual_information > 5  # an artefact, and left out
    assert found.aggregate_kl is None and found.total_correlation is None
    assert found.dimensionwise_kl < 0.6  # each latent by itself is seen well enough
    least = lower_bound(model, split, Split(split.x[::-1].copy(), None), 0)
    assert least.mean() < 3 * standard_error(least)


@pytest.mark.parametrize("case", ["gaussian", "groups"])
def test_the_bound_from_below_is_near_what_it_bounds(case):
    draw, scale = np.random.default_rng(1), 0.2
    if case == "gaussian":
        covariance = np.array([[1.0, 0.8], [0.8, 1.2]])
        means = draw.multivariate_normal([0, 0], covariance, 1200)
        exact = multivariate_normal([0, 0], covariance + scale**2 * np.eye(2)).entropy()
        second = np.trace(covariance) + 2 * scale**2
    else:
        means = draw.choice([-2.0, 2.0], (1200, 2)) + 0.3 * draw.standard_normal((1200, 2))
        exact = multivariate_normal([0, 0], (0.3**2 + scale**2) * np.eye(2)).entropy() + np.log(4)
        second = 2 * (4 + 0.3**2 + scale**2)
    divergence = np.log(2 * np.pi) + second / 2 - exact  # -E log N(z; 0, I), less the entropy
    model, train = standing_at(means[:600], scale)
    found = lower_bound(model, train, standing_at(means[600:], scale)[1], 0)
    assert found.mean() == pytest.approx(divergence, abs=3 * standard_error(found))
    assert lower_bound(model, train, Split(train.x[:20], None), 0) is None


def test_a_correlated_aggregate():
    """Means of N(0, C) and narrow posteriors: q(z) is N(0, C + s²), all of whose parts are known."""
    scale, covariance = 0.3, np.array([[1.0, 0.8], [0.8, 1.2]])
    means = np.random.default_rng(0).multivariate_normal([0, 0], covariance, 3000)
    found = aggregate(*standing_at(means, scale), 0, CPU)
    joint = np.cov(means.T) + scale**2 * np.eye(2)
    variances = np.diag(joint)
    correlation = -0.5 * np.log(np.linalg.det(joint) / variances.prod())
    dimensions = 0.5 * (variances + means.mean(0) ** 2 - 1 - np.log(variances)).sum()
    information = 0.5 * np.log(np.linalg.det(joint) / scale**4)
    assert found.total_correlation == pytest.approx(correlation, abs=0.03)
    assert found.dimensionwise_kl == pytest.approx(dimensions, abs=0.03)
    assert found.mutual_information == pytest.approx(information, abs=0.05)
    rate = elbo_terms(*standing_at(means, scale), 0, CPU).rate.mean()
    assert found.mutual_information + found.total_correlation + found.dimensionwise_kl == pytest.approx(rate)


def test_the_density_is_scipys_kernel_density():
    means = np.random.default_rng(0).standard_normal((1500, 1))
    found = aggregate(*standing_at(means, 0.3), 0, CPU)
    joint = gaussian_kde(means[:, 0], 0.3 / means.std(ddof=1)).logpdf(found.z[:, 0])
    own = multivariate_normal(cov=0.09).logpdf(found.z[:, 0] - means[:, 0])
    assert found.mutual_information == pytest.approx((own - joint).mean(), abs=1e-4)


def test_another_prior_has_no_dimensions():
    prior = MixturePrior(2, 1)  # one component: a Gaussian
    means = np.zeros((50, 2))
    found = aggregate(*standing_at(means, 0.5, prior), 0, CPU)
    assert found.total_correlation is None and found.dimensionwise_kl is None
    mean = prior.means[0].detach().double().numpy()
    wanted = 2 * (-0.5 * np.log(0.25) - 0.5) + 0.5 * (mean**2).sum() + 0.25
    draws = 0.5 * ((found.z - mean) ** 2).sum(1) - 0.5 * ((found.z) ** 2).sum(1) / 0.25 - np.log(0.25)
    assert found.aggregate_kl == pytest.approx(draws.mean(), abs=1e-4)
    assert found.aggregate_kl == pytest.approx(wanted, abs=0.5)


@pytest.mark.parametrize("posterior", ["full_gaussian", "coupling_flow"])
def test_other_posteriors_are_asked_for_every_pair(posterior, monkeypatch):
    model = make("dense", "dense", "bernoulli", False, (1, 8, 8), posterior).eval()
    wake(model)
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8)).astype(np.uint8)
    monkeypatch.setattr("vae_pipeline.metrics.parts.VALUES", 64 * 16)  # several batches
    found = aggregate(model, Split(images, None), 0, CPU)
    with torch.no_grad():
        q = model.encode(torch.from_numpy(images))
        pairs = torch.stack([q.log_prob(torch.tensor(z).expand(40, -1)) for z in found.z]).double()
    joint = pairs.logsumexp(1) - np.log(40)
    assert found.mutual_information == pytest.approx((pairs.diagonal() - joint).mean().item(), abs=1e-4)
    assert found.total_correlation is None


def test_of_many_examples_some_are_taken(monkeypatch):
    monkeypatch.setattr("vae_pipeline.metrics.aggregate.EXAMPLES", 30)
    model, split = standing_at(np.arange(100.0)[:, None], 0.01)
    found = aggregate(model, split, 0, CPU)
    assert found.mutual_information == pytest.approx(np.log(30), abs=1e-4)
    assert len(found.z) == 30


def test_the_same_seed_gives_the_same_numbers():
    case = standing_at(np.random.default_rng(0).standard_normal((100, 2)), 0.3)
    first, again, other = (aggregate(*case, seed, CPU) for seed in (1, 1, 2))
    assert first.mutual_information == again.mutual_information != other.mutual_information
    np.testing.assert_array_equal(first.z, again.z)
