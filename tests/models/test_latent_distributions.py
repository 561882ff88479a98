"""Distributions over latents, beside torch's own and beside numbers that a grid gives."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from vae_pipeline.models import mixture
from vae_pipeline.models.flow import FlowGaussian
from vae_pipeline.models.gaussian import DiagonalGaussian, FullGaussian, StandardNormal
from vae_pipeline.models.mixture import GaussianMixture
from vae_pipeline.models.nets.coupling import CouplingFlow
from vae_pipeline.models.posteriors import FullPosterior, NormalisedPosterior
from vae_pipeline.models.samplers import FlowSampler, MixtureSampler
from vae_pipeline.numerics.kernels import BANDWIDTHS, inverse_multiquadratic


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_full_gaussian_is_torchs():
    scale_tril = draw(4, 3, 3).tril(-1) + torch.diag_embed(draw(4, 3, seed=1).exp())
    mean, z = draw(4, 3, seed=2), draw(5, 4, 3, seed=3)
    ours, torchs = FullGaussian(mean, scale_tril), MultivariateNormal(mean, scale_tril=scale_tril)
    torch.testing.assert_close(ours.log_prob(z), torchs.log_prob(z))
    torch.testing.assert_close(ours.variance, torchs.variance)
    standard = MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    torch.testing.assert_close(kl_divergence(ours, StandardNormal(3, like=mean)), kl_divergence(torchs, standard))
    torch.manual_seed(0)
    assert np.allclose(np.cov(ours.rsample([50_000])[:, 0].T), torchs.covariance_matrix[0], atol=0.1, rtol=0.05)


def test_a_full_posterior_starts_diagonal():
    posterior = FullPosterior(6, 3)(torch.randn(4, 6))
    torch.testing.assert_close(posterior.scale_tril, torch.diag_embed(posterior.variance.sqrt()))


def test_a_mixture_is_torchs():
    logits, means, log_variances = draw(5), 3 * draw(5, 4, seed=1), draw(5, 4, seed=2)
    ours = GaussianMixture(logits.log_softmax(0), means, log_variances)
    parts = Independent(Normal(means, (0.5 * log_variances).exp()), 1)
    torchs = MixtureSameFamily(Categorical(logits=logits), parts)
    z = 3 * draw(6, 7, 4, seed=3)
    torch.testing.assert_close(ours.log_prob(z), torchs.log_prob(z))
    torch.testing.assert_close(ours.mean, torchs.mean)
    torch.testing.assert_close(ours.variance, torchs.variance)


def test_a_mixture_of_narrow_parts_far_apart_keeps_its_digits(monkeypatch):
    """Float32 posteriors of an autoencoder: no one centre brings their parts near zero."""
    monkeypatch.setattr(mixture, "NUMBERS", 12)  # two rows at a time
    means = 100 * draw(3, 4).float()
    z = (means + 1e-3 * draw(5, 3, 4, seed=1)).float()
    ours = GaussianMixture(torch.full((3,), -math.log(3)), means, torch.full((3, 4), -14.0)).log_prob(z)
    exact = MixtureSameFamily(
        Categorical(logits=torch.zeros(3).double()), Independent(Normal(means.double(), math.exp(-7)), 1)
    ).log_prob(z.double())
    torch.testing.assert_close(ours.double(), exact, atol=1e-4, rtol=1e-6)


def test_a_mixtures_variance_far_out_is_the_one_around_its_mean():
    far = GaussianMixture(torch.zeros(1), torch.tensor([[3000.0]]), torch.tensor([[-4.0]]))
    assert far.variance.item() == pytest.approx(math.exp(-4), rel=1e-6)


def test_the_kernel_knows_neighbours_far_out():
    a, b = 1000 + draw(6, 3).float(), 1000 + draw(5, 3, seed=1).float()
    squares = cdist(a.double(), b.double(), "sqeuclidean")
    wanted = sum(6 * width / (6 * width + squares) for width in BANDWIDTHS)
    np.testing.assert_allclose(inverse_multiquadratic(a, b), wanted, rtol=1e-6)


def awake_flow(context=0):
    flow = CouplingFlow(3, 4, 8, context).double()
    with torch.no_grad():
        for index, parameter in enumerate(flow.parameters()):
            parameter.add_(0.3 * draw(*parameter.shape, seed=index))
    return flow


def test_a_flow_inverts_and_its_determinant_is_the_jacobians():
    flow, z = awake_flow(), draw(5, 3)
    image, log_determinant = flow(z)
    back, inverse = flow.inverse(image)
    torch.testing.assert_close(back, z)
    torch.testing.assert_close(inverse, -log_determinant)
    for row, value in zip(z, log_determinant, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda one: flow(one[None])[0][0], row)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], value)


def test_a_flow_posterior_knows_the_density_of_its_draws():
    base = DiagonalGaussian(draw(4, 3), draw(4, 3, seed=1))
    q = FlowGaussian(base, awake_flow(context=2), draw(4, 2, seed=2))
    torch.manual_seed(0)
    drawn = q.drawn([6])
    torch.testing.assert_close(q.log_prob(drawn.z), drawn.log_q())


def test_a_linear_flows_variance_is_exact():
    base = DiagonalGaussian(draw(1, 3), draw(1, 3, seed=1))
    flow = CouplingFlow(3, 2, 8, context=1).double()  # at first the identity
    q = FlowGaussian(base, flow, torch.zeros(1, 1).double())
    torch.testing.assert_close(q.variance, base.variance)
    torch.testing.assert_close(q.mean, base.mean)


def test_normalised_means_bound_the_rate_from_below():
    posterior = NormalisedPosterior(6, 4, 0.6).train()
    with torch.no_grad():
        posterior.mean.weight.mul_(1e-2)  # means that would collapse
    features = torch.randn(512, 6)
    q = posterior(features)
    torch.testing.assert_close(q.mean.std(0, correction=0), torch.full((4,), 0.6), atol=0.05, rtol=0)
    assert kl_divergence(q, StandardNormal(4, like=q.mean)).mean() >= 4 * 0.5 * 0.6**2 * 0.9
    for _ in range(200):
        posterior(features)
    torch.testing.assert_close(posterior.eval()(features).mean, q.mean, atol=0.02, rtol=0.02)
    assert posterior.train()(features[:1]).mean.isfinite().all()  # a batch of one has no spread


def test_a_mixture_sampler_draws_each_component_by_its_weight():
    weight = torch.tensor([0.2, 0.5, 0.3])
    mean = torch.tensor([[0.0, 0.0], [5.0, 5.0], [-5.0, 5.0]])
    tril = torch.tensor([[[1.0, 0.0], [0.5, 0.2]]] * 3)
    noise = torch.randn(40_000, 3, generator=torch.Generator().manual_seed(0))
    sampler = MixtureSampler(weight, mean, tril)
    z = sampler(noise)
    nearest = torch.cdist(z, mean).argmin(1)
    np.testing.assert_allclose(np.bincount(nearest) / 40_000, weight, atol=0.01)
    inside = z[nearest == 0]
    np.testing.assert_allclose(np.cov(inside.T), (tril[0] @ tril[0].T).numpy(), atol=0.05)
    assert sampler.noise == 3


def test_a_flow_samplers_density_integrates_to_one():
    sampler = FlowSampler(2, 4, 8).double()
    with torch.no_grad():
        for index, parameter in enumerate(sampler.parameters()):
            parameter.add_(0.2 * draw(*parameter.shape, seed=index))
        sampler.mean.copy_(torch.tensor([0.3, -0.2]))
        side = torch.linspace(-12, 12, 600, dtype=torch.float64)
        grid = torch.cartesian_prod(side, side)
        density = (sampler.log_prob(grid) - math.log(2 * math.pi)).exp()
    assert density.sum().item() * (side[1] - side[0]).item() ** 2 == pytest.approx(1, abs=1e-3)
