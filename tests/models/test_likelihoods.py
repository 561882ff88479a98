import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import laplace, logistic, norm, t
from torch.distributions import Bernoulli, Independent

from vae_pipeline.models.likelihoods.bernoulli import BernoulliLikelihood, LogitBernoulli
from vae_pipeline.models.likelihoods.categorical import CategoricalLikelihood
from vae_pipeline.models.likelihoods.discretised import Discretised, DiscretisedLikelihood, LaplaceTail, NormalTail
from vae_pipeline.models.likelihoods.gaussian import GaussianLikelihood
from vae_pipeline.models.likelihoods.laplace import LaplaceLikelihood
from vae_pipeline.models.likelihoods.logistic import LogisticLikelihood
from vae_pipeline.models.likelihoods.student_t import StudentT, StudentTLikelihood
from vae_pipeline.numerics.adam import AdamW


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


@pytest.mark.parametrize("family", [GaussianLikelihood, LaplaceLikelihood])
@pytest.mark.parametrize("scale", [0.1, 2.0, "learned", "learned_per_channel", "per_element", "optimal"])
def test_a_density_integrates_to_one(scale, family):
    likelihood = family((1,), scale).double().eval()
    distribution = likelihood(torch.tensor([[0.4], [-0.3]][: likelihood.planes], dtype=torch.float64))
    reach = 16 * distribution.stddev.item()
    density = lambda x: distribution.log_prob(torch.tensor([x], dtype=torch.float64)).exp().item()  # noqa: E731
    assert quad(density, 0.4 - reach, 0.4 + reach, points=[0.4])[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("scale", [0.1, "per_element", "optimal"])
def test_a_bounded_mean_is_within_the_data_and_begins_as_steep_as_a_linear_one(scale):
    output = torch.linspace(-8, 8, 1601, dtype=torch.float64).reshape(-1, 1, 1).requires_grad_()
    likelihood = GaussianLikelihood((1,), scale, "sigmoid").double().train()
    mean = likelihood(output.expand(-1, likelihood.planes, -1)).mean
    (slope,) = torch.autograd.grad(mean.sum(), output)
    assert mean[0].item() == pytest.approx(0, abs=1e-12)
    assert mean[-1].item() == pytest.approx(1, abs=1e-12)
    assert mean[800].item() == pytest.approx(0.5)
    assert slope[800].item() == pytest.approx(1)


def test_a_fixed_scale_is_exact_and_not_trained():
    likelihood = GaussianLikelihood((1, 4, 4), 0.1)
    assert likelihood.scale.item() == pytest.approx(0.1)
    assert list(likelihood.parameters()) == []


def test_a_learned_scale_cannot_collapse():
    likelihood = GaussianLikelihood((1, 4, 4), "learned")
    with torch.no_grad():
        likelihood.log_scale.fill_(-100)
    assert likelihood.scale.item() == pytest.approx(math.exp(-6))


def test_what_the_numbers_are():
    assert BernoulliLikelihood(3).measure(binary=True) == "mass"
    assert BernoulliLikelihood(3).measure(binary=False) == "cross_entropy"
    assert GaussianLikelihood((1, 4, 4), 0.1).measure(binary=True) == "density"
    assert DiscretisedLikelihood(NormalTail(), (1, 4, 4), 0.1, "linear", 256).measure(binary=False) == "mass"
    assert LogisticLikelihood(3, 256, 2).measure(binary=False) == "mass"


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize(
    "build",
    [
        lambda n: LogisticLikelihood(1, n, 1),
        lambda n: LogisticLikelihood(1, n, 3),
        lambda n: CategoricalLikelihood(1, n),
        lambda n: DiscretisedLikelihood(NormalTail(), (1,), "learned", "linear", n),
        lambda n: DiscretisedLikelihood(LaplaceTail(), (1,), "per_element", "sigmoid", n),
    ],
)
def test_a_discrete_likelihood_sums_to_one_over_its_levels(build, levels):
    likelihood = build(levels).double()
    for spread in (0.1, 3.0, 30.0):
        output = spread * torch.randn(likelihood.planes, 1, generator=torch.Generator().manual_seed(0)).double()
        values = torch.arange(levels, dtype=torch.float64)[:, None] / (levels - 1)
        distribution = likelihood(output)
        log_prob = distribution.log_prob(values)
        assert log_prob.logsumexp(0).item() == pytest.approx(0, abs=1e-9)
        mean = (log_prob.exp() * values[:, 0]).sum().item()
        assert distribution.mean.item() == pytest.approx(mean, abs=0.51 / (levels - 1))
        drawn = distribution.sample((20_000,))
        assert drawn.mean().item() == pytest.approx(mean, abs=0.02)
        torch.testing.assert_close((drawn * (levels - 1)).round() / (levels - 1), drawn)


def test_the_discretised_logistic_is_scipys():
    likelihood = LogisticLikelihood(1, 256, 1).double()
    output = torch.tensor([[0.0], [0.1], [-1.0]], dtype=torch.float64)
    scale = math.exp(-7 + math.log1p(math.exp(-1 - 2 + 7)))
    edges = logistic(0.6, scale).cdf((np.arange(255) + 0.5) / 255)
    expected = np.diff(np.concatenate([[0], edges, [1]]))
    values = torch.arange(256, dtype=torch.float64)[:, None] / 255
    np.testing.assert_allclose(likelihood(output).log_prob(values).exp().numpy(), expected, rtol=1e-6)


def log_mass(family, location, scale, levels):
    """scipy's: of an interval beyond the centre by the tail that is nearer, whose logarithm is exact far out."""
    lower = (np.concatenate([[-np.inf], (np.arange(levels - 1) + 0.5) / (levels - 1)]) - location) / scale
    upper = np.append(lower[1:], np.inf)
    near, far = np.maximum(np.maximum(lower, -upper), 0), np.maximum(-lower, upper)
    tails = family.logsf(near), family.logsf(far)
    with np.errstate(invalid="ignore", divide="ignore"):  # in the half that isn't taken
        held = np.log1p(-family.sf(-lower) - family.sf(upper))
        return np.where((lower < 0) & (upper > 0), held, tails[0] + np.log(-np.expm1(tails[1] - tails[0])))


@pytest.mark.parametrize(("dtype", "exact"), [(torch.float64, 2e-5), (torch.float32, 2e-4)], ids=str)
@pytest.mark.parametrize(("tail", "scipys"), [(NormalTail(), norm), (LaplaceTail(), laplace)])
def test_a_discretised_likelihood_is_scipys_far_out_too(tail, scipys, dtype, exact):
    """The mass of a level 1/255 as wide as the scale is a difference of which float32 keeps four digits."""
    for levels, location, scale in itertools.product((2, 17, 256), (-1.0, 0.0, 0.3, 1.5), (0.005, 0.3, 1.0)):
        values = torch.arange(levels, dtype=dtype)[:, None] / (levels - 1)
        parameters = [torch.full((1,), number, dtype=dtype, requires_grad=True) for number in (location, scale)]
        found = Discretised(tail, *parameters, levels, 1).log_prob(values)
        wanted = log_mass(scipys, location, scale, levels)
        np.testing.assert_allclose(found.detach().double().numpy(), wanted, rtol=2e-6, atol=exact)
        assert all(slope.isfinite().all() for slope in torch.autograd.grad(found.sum(), parameters))


@pytest.mark.parametrize(
    ("family", "spread"), [(GaussianLikelihood, np.std), (LaplaceLikelihood, lambda r: np.abs(r).mean())]
)
def test_the_optimal_scale_is_the_likeliest_and_is_remembered(family, spread):
    torch.manual_seed(0)
    likelihood = family((2, 3), "optimal").train()
    mean = torch.zeros(500, 1, 2, 3)
    x = 0.2 * torch.randn(500, 2, 3)
    x = x - x.mean() if family is GaussianLikelihood else x
    best = likelihood(mean).log_prob(x).mean()
    others = [
        likelihood.given(torch.zeros(500, 2, 3), torch.tensor(s)).log_prob(x).mean() for s in (0.14, 0.19, 0.22, 0.3)
    ]
    assert all(best > other for other in others)
    for _ in range(200):
        likelihood(mean).log_prob(x)
    assert likelihood.eval().scale.item() == pytest.approx(spread(x.numpy()), rel=1e-3)


@pytest.mark.parametrize("degrees", [0.5, 1.0, 2.5, 5.0, 30.0, 1000.0])
def test_students_t_is_scipys_in_either_precision(degrees):
    x, location, scale = np.linspace(-40, 40, 81), 0.3, 0.7
    wanted = t(degrees, location, scale)
    for dtype, exact in ((torch.float64, 1e-8), (torch.float32, 2e-5)):
        parameters = [torch.tensor(number, dtype=dtype) for number in (degrees, location, scale)]
        parameters[1] = parameters[1].expand(1, 1)
        given = StudentTLikelihood((1,), 1.0, "linear", degrees).to(dtype).given(*parameters[1:])
        values = torch.tensor(x, dtype=dtype)[:, None]
        np.testing.assert_allclose(given.log_prob(values), wanted.logpdf(x), rtol=exact, atol=exact)
        deviance = wanted.logpdf(location) - wanted.logpdf(x)
        np.testing.assert_allclose(given.deviance_by_element(values)[:, 0], deviance, rtol=exact, atol=10 * exact)
    torch.manual_seed(0)
    drawn = given.sample(torch.Size([4000])).double().numpy().ravel()
    np.testing.assert_allclose((drawn < location + scale).mean(), wanted.cdf(location + scale), atol=0.03)


def test_the_gradient_of_degrees_is_that_of_torchs_gamma_functions():
    x = torch.linspace(-4, 4, 9, dtype=torch.float64)
    slopes = []
    for family in (StudentT, lambda *given: torch.distributions.StudentT(*given, validate_args=False)):
        degrees = torch.tensor(2.7, dtype=torch.float64, requires_grad=True)
        family(degrees, torch.zeros(9).double(), torch.tensor(0.8).double()).log_prob(x).sum().backward()
        slopes.append(degrees.grad)
    torch.testing.assert_close(*slopes, rtol=1e-6, atol=0)


def test_the_optimal_scale_of_students_t_is_scipys():
    x = t(3, 0, 0.2).rvs(2000, random_state=0)
    likelihood = StudentTLikelihood((1,), "optimal", "linear", 3.0).train()
    found = likelihood.likeliest(torch.from_numpy(x).float()).exp().item()
    assert found == pytest.approx(t.fit(x, fdf=3, floc=0)[2], rel=1e-3)


def test_a_discretised_scale_is_soon_what_the_data_ask_for():
    """The scale gets there in 250 steps of Adam at the recipes' rate, from a spread of 0.37 to one of 0.03."""
    torch.manual_seed(0)
    x = ((0.5 + 0.03 * torch.randn(500, 1, 1, 1)) * 255).round() / 255
    likelihood = DiscretisedLikelihood(NormalTail(), (1, 1, 1), "learned", "linear", 256)
    adam, rate = AdamW(likelihood, 0.0), torch.tensor(0.002)
    for _ in range(250):
        likelihood.zero_grad()
        (-likelihood(torch.full((1, 1, 1, 1, 1), 0.5)).log_prob(x).mean()).backward()
        adam.step(rate)
    assert likelihood.scale.item() == pytest.approx(x.std().item(), rel=0.02)


def test_every_channel_has_its_scale():
    likelihood = GaussianLikelihood((3, 4, 5), "learned_per_channel")
    assert likelihood.log_scale.shape == (3, 1, 1)
    with torch.no_grad():
        likelihood.log_scale[1] = 1.0
    assert (
        likelihood(torch.zeros(2, 1, 3, 4, 5)).stddev[:, 1].mean()
        > likelihood(torch.zeros(2, 1, 3, 4, 5)).stddev[:, 0].mean()
    )


@pytest.mark.parametrize(
    "likelihood",
    [
        BernoulliLikelihood(3),
        GaussianLikelihood((1, 4, 4), 0.3),
        LaplaceLikelihood((1, 4, 4), "per_element"),
        DiscretisedLikelihood(NormalTail(), (1, 4, 4), "learned", "linear", 256),
        LogisticLikelihood(3, 256, 2),
        CategoricalLikelihood(3, 5),
    ],
    ids=lambda likelihood: type(likelihood).__name__,
)
def test_an_image_of_twice_the_side_has_four_times_the_distortion(likelihood):
    draw = torch.Generator().manual_seed(0)
    output = torch.randn(3, likelihood.planes, 1, 4, 4, generator=draw)
    x = torch.randint(0, 2, (3, 1, 4, 4), generator=draw).float()
    larger = [value.repeat_interleave(2, -1).repeat_interleave(2, -2) for value in (output, x)]
    torch.testing.assert_close(likelihood(larger[0]).log_prob(larger[1]), 4 * likelihood(output).log_prob(x))
