import math
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch.distributions import MultivariateNormal, kl_divergence

from vae_pipeline.models.gaussian import DiagonalGaussian, StandardNormal
from vae_pipeline.models.likelihoods.gaussian import GaussianLikelihood
from vae_pipeline.models.vae import Inference
from vae_pipeline.recipe.objective import (
    CapacityControl,
    ConstantControl,
    CyclicalControl,
    ElboObjective,
    FreeBitsControl,
    ImportanceObjective,
    TargetDistortionControl,
    TargetRateControl,
    TrimmedObjective,
    WarmUpControl,
)
from vae_pipeline.training.objectives import build_objective, discrepancy, total_correlation
from vae_pipeline.training.rate_control import build_rate_control


def fixed():
    inference = Mock(spec=Inference)
    inference.distortion.return_value = torch.tensor([[10.0, 20.0]])
    inference.rate.return_value = torch.tensor([[1.0, 3.0]])
    inference.rates.return_value = torch.tensor([[[0.9, 0.1], [2.7, 0.3]]])
    return inference


def test_trimmed_is_the_elbos_of_the_likeliest():
    inference = Mock(spec=Inference)
    inference.distortion.return_value = torch.tensor([[10.0, 90.0, 20.0, 30.0]])
    inference.rate.return_value = torch.tensor([[1.0, 1.0, 3.0, 80.0]])
    loss = build_objective(TrimmedObjective(kind="trimmed", share=0.5), 4)
    assert loss(inference, constant(2.0)).item() == pytest.approx((10 + 20) / 2 + 2 * (1 + 3) / 2)
    assert build_objective(TrimmedObjective(kind="trimmed", share=0.2), 4)(
        inference, constant(1.0)
    ).item() == pytest.approx((11 + 91 + 23 + 110) / 4)


def test_trimming_keeps_anomalies_out_of_the_fit():
    """A scale and a mean fitted to contaminated numbers: the trimmed likelihood's are those of the normal ones."""
    x = torch.cat([torch.randn(180, generator=torch.Generator().manual_seed(0)), torch.full((20,), 30.0)])
    found = {}
    for section in (ElboObjective(kind="elbo"), TrimmedObjective(kind="trimmed", share=0.1)):
        mean = torch.zeros((), requires_grad=True)
        optimizer, loss = torch.optim.SGD([mean], 0.1), build_objective(section, len(x))
        for _ in range(100):
            inference = Mock(spec=Inference)
            inference.distortion.return_value = 0.5 * (x - mean).square()[None]
            inference.rate.return_value = torch.zeros(1, len(x))
            optimizer.zero_grad()
            loss(inference, constant(1.0)).backward()
            optimizer.step()
        found[section.kind] = mean.item()
    assert found["elbo"] == pytest.approx(x.mean().item(), abs=0.01)
    assert found["trimmed"] == pytest.approx(x[:180].mean().item(), abs=0.01)


def constant(beta):
    return build_rate_control(ConstantControl(kind="constant", beta=beta))


def cost(control, progress=1.0):
    built = build_rate_control(control)
    built.advance(progress)
    return built.cost(fixed()).item()


def test_the_elbo_averages_over_the_batch():
    loss = build_objective(ElboObjective(kind="elbo"), 2)
    assert loss(fixed(), constant(2.0)).item() == pytest.approx(15 + 2 * 2)
    assert loss(fixed(), constant(1.0)).item() == pytest.approx(17)


def test_schedules_of_beta():
    warm_up = WarmUpControl(kind="warm_up", beta=4.0, share=0.5)
    assert [cost(warm_up, at) for at in (0, 0.25, 0.5, 0.99)] == [0, 4, 8, 8]
    cyclical = CyclicalControl(kind="cyclical", beta=1.0, cycles=2, share=0.5)
    assert [cost(cyclical, at) for at in (0, 0.125, 0.25, 0.49, 0.5, 0.75)] == [0, 1, 2, 2, 0, 2]


def test_free_bits_cost_their_floor():
    assert cost(FreeBitsControl(kind="free_bits", nats=0.5, share=0.0)) == pytest.approx(1.8 + 0.5)


def test_capacity_costs_its_distance():
    control = CapacityControl(kind="capacity", nats=6.0, weight=10.0, share=0.5)
    assert [cost(control, at) for at in (0, 0.25, 1)] == pytest.approx([20, 10, 40])


@pytest.mark.parametrize(
    ("control", "measured", "raises"),
    [
        (TargetRateControl(kind="target_rate", nats=10.0), (50.0, 12.0, 0.1), True),
        (TargetRateControl(kind="target_rate", nats=10.0), (50.0, 8.0, 0.1), False),
        (TargetDistortionControl(kind="target_distortion", nats=40.0, psnr=None), (50.0, 8.0, 0.1), False),
        (TargetDistortionControl(kind="target_distortion", nats=-40.0, psnr=None), (-50.0, 8.0, 0.1), True),
        (TargetDistortionControl(kind="target_distortion", nats=None, psnr=20.0), (50.0, 8.0, 0.001), True),
        (TargetDistortionControl(kind="target_distortion", nats=None, psnr=20.0), (50.0, 8.0, 0.1), False),
    ],
)
def test_a_controller_moves_beta_the_right_way(control, measured, raises):
    built = build_rate_control(control)
    for _ in range(50):
        built.observe(*torch.tensor(measured))
    assert (built.beta.item() > 1.1) if raises else (built.beta.item() < 0.9)


def test_what_beta_came_to_on_the_way_to_the_target_is_forgotten_on_the_first_arrival():
    built = build_rate_control(TargetDistortionControl(kind="target_distortion", nats=40.0, psnr=None))

    def measured(distortion, steps):
        betas = []
        for _ in range(steps):
            built.observe(torch.tensor(distortion), torch.tensor(8.0), torch.tensor(0.1))
            betas.append(built.beta.item())
        return betas

    assert measured(100.0, 100)[-1] == pytest.approx(0.01)
    assert max(measured(30.0, 10)) > 1
    assert measured(100.0, 100)[-1] == pytest.approx(0.01)
    assert max(measured(30.0, 10)) < 0.2


def unit_gaussian(mean):
    return GaussianLikelihood((mean.shape[-1],), 1.0).given(mean, torch.ones_like(mean))


def gaussian_case(samples, noise=None):
    """x = z + 1 with unit noise, p(z) = N(0, 1), q(z|x) = N(m, e^v): parameters m, v and the decoder's weight."""
    mean = torch.tensor([[0.2], [0.5]], dtype=torch.float64, requires_grad=True)
    log_variance = torch.full((2, 1), -0.3, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    posterior = DiagonalGaussian(mean, log_variance)
    draw = posterior.draw(torch.randn(samples, 2, 1, dtype=torch.float64))
    likelihood = unit_gaussian(weight * draw.z + 1)
    target = torch.tensor([[1.0], [2.5]], dtype=torch.float64)
    return Inference(target, draw, StandardNormal(1, like=mean), likelihood), (mean, log_variance, weight)


def gradients(doubly, seed, samples=8):
    torch.manual_seed(seed)
    inference, parameters = gaussian_case(samples)
    section = ImportanceObjective(kind="importance_weighted", samples=samples, doubly_reparameterised=doubly)
    loss = build_objective(section, 2)(inference, constant(1.0).double())
    return loss.item(), np.concatenate([g.numpy().ravel() for g in torch.autograd.grad(loss, parameters)])


def test_the_importance_weighted_loss_is_its_definition():
    torch.manual_seed(0)
    inference, _ = gaussian_case(8)
    expected = -np.log(np.exp(inference.log_weight().detach().numpy()).mean(0)).mean()
    for doubly in (False, True):
        assert gradients(doubly, 0)[0] == pytest.approx(expected, rel=1e-6)


def test_the_doubly_reparameterised_gradient_is_less_noisy_for_the_encoder():
    plain = np.array([gradients(False, seed)[1] for seed in range(100)])
    doubly = np.array([gradients(True, seed)[1] for seed in range(100)])
    assert (doubly.var(0)[:4] < 0.7 * plain.var(0)[:4]).all()
    np.testing.assert_allclose(doubly[:, 4], plain[:, 4], rtol=1e-6)  # the decoder's is the same estimate


def exact_gradient(beta):
    """The gradient of -E log 1/2 Σ p(x|z) (p(z) / q(z))^beta over two draws, in m and v, by quadrature."""
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    pairs, weights = np.stack(np.meshgrid(points, points)), np.outer(weights, weights) / (2 * np.pi)

    def loss(mean, log_variance):
        z = mean + np.exp(0.5 * log_variance) * pairs
        log_ratio = norm.logpdf(z, mean, np.exp(0.5 * log_variance)) - norm.logpdf(z)
        log_weight = norm.logpdf(1.0, 1.3 * z + 1) - beta * log_ratio
        return -(weights * (logsumexp(log_weight, axis=0) - np.log(2))).sum()

    return [derivative(lambda m: loss(m, -0.3), 0.2), derivative(lambda v: loss(0.2, v), -0.3)], pairs, weights


def derivative(function, at, step=1e-5):
    return (function(at + step) - function(at - step)) / (2 * step)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("doubly", [False, True])
def test_the_gradient_of_the_importance_bound_is_right_in_expectation_at_any_beta(beta, doubly):
    wanted, pairs, weights = exact_gradient(beta)
    noise = torch.from_numpy(pairs).flatten(1).unsqueeze(-1)  # [2 draws, as many examples as the grid has pairs, 1]
    mean = torch.full(noise.shape[1:], 0.2, dtype=torch.float64, requires_grad=True)
    log_variance = torch.full_like(mean, -0.3, requires_grad=True)
    posterior = DiagonalGaussian(mean, log_variance)
    draw = posterior.draw(noise)
    inference = Inference(torch.ones_like(mean), draw, StandardNormal(1, like=mean), unit_gaussian(1.3 * draw.z + 1))
    section = ImportanceObjective(kind="importance_weighted", samples=2, doubly_reparameterised=doubly)
    loss = build_objective(section, len(mean))(inference, constant(beta).double())
    each = torch.autograd.grad(len(mean) * loss, (mean, log_variance))  # an example's own: the loss is their mean
    np.testing.assert_allclose([weights.ravel() @ one.squeeze(1).numpy() for one in each], wanted, rtol=1e-6)


def test_the_discrepancy_is_zero_of_the_prior_and_grows_away_from_it():
    torch.manual_seed(0)
    prior = StandardNormal(3, like=torch.zeros(1))
    same = np.mean([discrepancy(torch.randn(256, 3), prior).item() for _ in range(50)])
    near = discrepancy(torch.randn(256, 3) + 0.5, prior).item()
    far = discrepancy(torch.randn(256, 3) + 2.0, prior).item()
    assert abs(same) < 0.003
    assert 0.02 < near < far


def test_total_correlation_of_a_known_gaussian():
    """q(z|x) narrow around x ~ N(0, C): the aggregate posterior is N(0, C), whose TC is -log|corr| / 2."""
    correlation, count = 0.8, 4000
    covariance = torch.tensor([[1.0, correlation], [correlation, 1.0]])
    torch.manual_seed(0)
    scale = 0.15
    means = MultivariateNormal(torch.zeros(2), covariance - scale**2 * torch.eye(2)).sample((count,))
    q = DiagonalGaussian(means, torch.full_like(means, 2 * math.log(scale)))
    inference = Inference(means, q.drawn([1]), StandardNormal(2, like=means), unit_gaussian(means))
    product = MultivariateNormal(torch.zeros(2), torch.eye(2))
    exact = kl_divergence(MultivariateNormal(torch.zeros(2), covariance), product).item()
    # Weighted as a sample of `count` by itself, each log q has 1/(N M) for 1/M: the constants cancel but for log N.
    estimate = total_correlation(inference, count).item() - math.log(count)
    assert estimate == pytest.approx(exact, abs=0.05)
