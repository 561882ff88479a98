import itertools
import math

import pytest
import torch
from scipy.integrate import quad
from torch.distributions import Bernoulli

from vae_pipeline.models.likelihoods import BernoulliLikelihood, GaussianLikelihood, LogitBernoulli


def test_bernoulli_is_torchs():
    logits = torch.linspace(-12, 12, 25)
    for value in (0.0, 0.3, 1.0):
        x = torch.full_like(logits, value)
        wanted = Bernoulli(logits=logits, validate_args=False).log_prob(x)
        torch.testing.assert_close(LogitBernoulli(logits=logits, validate_args=False).log_prob(x), wanted)


def test_bernoulli_stays_finite_far_out():
    logits = torch.tensor([-1e4, -200.0, 200.0, 1e4])
    log_prob = LogitBernoulli(logits=logits, validate_args=False).log_prob(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    torch.testing.assert_close(log_prob, -logits.abs())


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
