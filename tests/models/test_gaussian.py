import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from vae_pipeline.models.gaussian import DiagonalGaussian, StandardNormal, rate_per_dimension


@pytest.fixture
def pair():
    draw = torch.Generator().manual_seed(1)
    mean, log_variance = torch.randn(5, 3, generator=draw), torch.randn(5, 3, generator=draw)
    return DiagonalGaussian(mean, log_variance), Independent(Normal(mean, (0.5 * log_variance).exp()), 1)


def test_log_prob_is_torchs(pair):
    ours, torchs = pair
    z = torch.randn(7, 5, 3, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(ours.log_prob(z), torchs.log_prob(z))


def test_rate_is_torchs_in_closed_form(pair):
    ours, torchs = pair
    prior = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    rate = kl_divergence(ours, StandardNormal(3, like=ours.mean))
    torch.testing.assert_close(rate, kl_divergence(torchs, prior))


def test_rate_between_two_gaussians_is_torchs(pair):
    ours, torchs = pair
    other = DiagonalGaussian(torch.full((5, 3), 0.3), torch.full((5, 3), -0.7))
    wanted = kl_divergence(torchs, Independent(Normal(other.mean, other.stddev), 1))
    torch.testing.assert_close(kl_divergence(ours, other), wanted)
    torch.testing.assert_close(rate_per_dimension(ours, other).sum(-1), wanted)


def test_rate_is_the_monte_carlo_estimate(pair):
    torch.manual_seed(0)
    ours, _ = pair
    prior = StandardNormal(3, like=ours.mean)
    z = ours.rsample((100_000,))
    estimates = ours.log_prob(z) - prior.log_prob(z)
    error = estimates.std(0) / 100_000**0.5
    assert ((estimates.mean(0) - kl_divergence(ours, prior)).abs() < 4 * error).all()


def test_rsample_has_the_moments_and_carries_gradients(pair):
    torch.manual_seed(0)
    ours, _ = pair
    mean = ours.mean.clone().requires_grad_()
    z = DiagonalGaussian(mean, ours.log_variance).rsample((50_000,))
    torch.testing.assert_close(z.mean(0), ours.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(z.var(0), ours.variance, atol=0.02, rtol=0.05)
    z.sum().backward()
    torch.testing.assert_close(mean.grad, torch.full_like(mean, 50_000.0))
