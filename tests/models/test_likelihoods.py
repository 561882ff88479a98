import itertools
import math

import pytest
import torch
from scipy.integrate import quad
from torch.distributions import Bernoulli, Independent

from vae_pipeline.models.likelihoods import BernoulliLikelihood, GaussianLikelihood, LogitBernoulli


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_bernoulli_and_its_gradient_are_torchs(value):
    logits = torch.linspace(-20, 20, 24).reshape(2, 1, 3, 4).requires_grad_()
    x = torch.full((1, 3, 4), value)
    ours = LogitBernoulli(logits, 2)
    torchs = Independent(Bernoulli(logits=logits, validate_args=False), 2)
    weights = torch.tensor([[1.0], [-2.0]])
    torch.testing.assert_close(ours.log_prob(x), torchs.log_prob(x))
    torch.testing.assert_close(ours.mean, torchs.mean)
    torch.testing.assert_close(ours.variance, torchs.variance)
    gradients = [torch.autograd.grad((d.log_prob(x) * weights).sum(), logits)[0] for d in (ours, torchs)]
    torch.testing.assert_close(*gradients)


def test_one_bernoulli_for_many_images():
    logits = torch.randn(1, 2, 2, requires_grad=True)
    x = torch.rand(5, 2, 2)
    ours, torchs = LogitBernoulli(logits, 2), Independent(Bernoulli(logits=logits, validate_args=False), 2)
    torch.testing.assert_close(ours.log_prob(x), torchs.log_prob(x))
    gradients = [torch.autograd.grad(d.log_prob(x).sum(), logits)[0] for d in (ours, torchs)]
    torch.testing.assert_close(*gradients)


def test_bernoulli_samples_have_its_mean():
    torch.manual_seed(0)
    distribution = LogitBernoulli(torch.tensor([[-1.0, 2.0]]), 1)
    drawn = distribution.sample((20000,))
    assert drawn.shape == (20000, 1, 2)
    torch.testing.assert_close(drawn.mean(0), distribution.mean, atol=0.015, rtol=0)


def test_bernoulli_stays_finite_far_out():
    logits = torch.tensor([[-1e4], [-200.0], [200.0], [1e4]])
    log_prob = LogitBernoulli(logits, 1).log_prob(torch.tensor([[1.0], [1.0], [0.0], [0.0]]))
    torch.testing.assert_close(log_prob, -logits.abs().squeeze(-1))


def test_bernoulli_sums_to_one_over_all_images():
    torch.manual_seed(0)
    output = torch.randn(1, 1, 1, 3, 3)
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=9))).reshape(-1, 1, 3, 3)
    log_prob = BernoulliLikelihood(rank=3)(output).log_prob(images)
    assert log_prob.double().logsumexp(0).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("scale", [0.1, 2.0, "learned"])
def test_gaussian_integrates_to_one(scale):
    likelihood = GaussianLikelihood(1, scale).double()
    distribution = likelihood(torch.tensor([[0.4]], dtype=torch.float64))
    reach = 12 * likelihood.scale.item()
    density = lambda x: distribution.log_prob(torch.tensor([x], dtype=torch.float64)).exp().item()  # noqa: E731
    assert quad(density, 0.4 - reach, 0.4 + reach, points=[0.4])[0] == pytest.approx(1, abs=1e-6)


def test_a_fixed_scale_is_exact_and_not_trained():
    likelihood = GaussianLikelihood(3, 0.1)
    assert likelihood.scale.item() == pytest.approx(0.1)
    assert list(likelihood.parameters()) == []


def test_a_learned_scale_cannot_collapse():
    likelihood = GaussianLikelihood(3, "learned")
    with torch.no_grad():
        likelihood.log_scale.fill_(-100)
    assert likelihood.scale.item() == pytest.approx(math.exp(-6))


def test_what_the_numbers_are():
    assert BernoulliLikelihood(3).measure(binary=True) == "mass"
    assert BernoulliLikelihood(3).measure(binary=False) == "cross_entropy"
    assert GaussianLikelihood(3, 0.1).measure(binary=True) == "density"
