"""A linear-Gaussian model is probabilistic PCA: log p(x) and the posterior are known in closed form."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import elbo_terms, standard_error
from vae_pipeline.metrics.gain import Gain, decoder_gain
from vae_pipeline.metrics.importance import ImportanceBound, importance_bound
from vae_pipeline.metrics.out_of_distribution import likelihood_regret
from vae_pipeline.metrics.pareto import pareto_shape, tail_length
from vae_pipeline.metrics.parts import at_once
from vae_pipeline.models.likelihoods.gaussian import GaussianLikelihood
from vae_pipeline.models.posteriors import FullPosterior, GaussianPosterior
from vae_pipeline.models.priors import StandardNormalPrior
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.recipe.objective import ConstantControl, ElboObjective
from vae_pipeline.recipe.train import Train
from vae_pipeline.training.batches import Batches
from vae_pipeline.training.loop import Training, fit

CPU = torch.device("cpu")
SCALE, DIMENSIONS, LATENTS = 0.3, 6, 2


class Flat(nn.Module):
    def forward(self, x, label):
        return x.flatten(1)


class Linear(nn.Module):
    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, z):
        return (z @ self.weight.T + self.bias).reshape(-1, 1, 1, 1, DIMENSIONS)


@pytest.fixture(scope="module")
def oracle():
    """A model with its exact posterior, data drawn from it, and scipy's log p(x)."""
    draw = np.random.default_rng(0)
    basis = np.linalg.qr(draw.standard_normal((DIMENSIONS, LATENTS)))[0]
    weight = basis * np.array([1.5, 0.7])  # orthogonal columns make the posterior diagonal
    bias = draw.standard_normal(DIMENSIONS)
    x = draw.standard_normal((200, LATENTS)) @ weight.T + bias + SCALE * draw.standard_normal((200, DIMENSIONS))
    exact = multivariate_normal(bias, weight @ weight.T + SCALE**2 * np.eye(DIMENSIONS)).logpdf(x)
    precision = np.diag(weight.T @ weight) / SCALE**2 + 1
    gain = (weight / SCALE**2).T / precision[:, None]
    posterior = GaussianPosterior(DIMENSIONS, LATENTS)
    with torch.no_grad():
        posterior.mean.weight.copy_(torch.tensor(gain))
        posterior.mean.bias.copy_(torch.tensor(-gain @ bias))
        posterior.log_variance.weight.zero_()
        posterior.log_variance.bias.copy_(torch.tensor(-np.log(precision)))
    decoder = Linear(torch.tensor(weight, dtype=torch.float32), torch.tensor(bias, dtype=torch.float32))
    likelihood = GaussianLikelihood((1, 1, DIMENSIONS), SCALE)
    model = VAE(Scaling(0, 1), Flat(), posterior, StandardNormalPrior(LATENTS), decoder, likelihood)
    return model, Split(x.astype(np.float32).reshape(-1, 1, 1, DIMENSIONS), None), exact


def test_with_the_exact_posterior_every_weight_is_log_p(oracle):
    model, split, exact = oracle
    bound = importance_bound(model, split, samples=1, seed=0, device=CPU).bound
    np.testing.assert_allclose(bound, exact, atol=2e-4)


def test_the_elbo_is_tight_on_average(oracle):
    model, split, exact = oracle
    elbo = np.mean([elbo_terms(model, split, seed, CPU).elbo.mean() for seed in range(40)])
    assert elbo == pytest.approx(exact.mean(), abs=0.03)


def test_decoder_gain_is_mutual_and_lautum_information(oracle):
    """The gain of z and x = W z + noise is tr(W'W) / scale², for E|x - W z'|² - E|x - W z|² = 2 tr(W'W)."""
    model, split, _ = oracle
    found = decoder_gain(model, split, 0, CPU, len(split))
    assert found.standard_error < 3
    assert found.nats == pytest.approx((1.5**2 + 0.7**2) / SCALE**2, abs=4 * found.standard_error)
    assert found.share > 0.95
    assert decoder_gain(model, split, 0, CPU, 50) != found
    assert decoder_gain(model, Split(split.x[:1], None), 0, CPU, 50) is None


def test_a_decoder_that_ignores_z_gains_nothing(oracle):
    model, split, _ = oracle
    deaf = VAE(
        model.scaling, model.encoder, model.posterior, model.latent_prior,
        Linear(torch.zeros(DIMENSIONS, LATENTS), model.decoder.bias), model.likelihood,
    )  # fmt: skip
    assert decoder_gain(deaf, split, 0, CPU, len(split)) == Gain(0.0, 0.0, 0.5)


@pytest.fixture(scope="module")
def loose(oracle):
    """The same model with a posterior that is off: its bounds are below log p(x) and rise with K."""
    model, split, exact = oracle
    posterior = GaussianPosterior(DIMENSIONS, LATENTS)
    posterior.load_state_dict(model.posterior.state_dict())
    with torch.no_grad():
        posterior.log_variance.bias.add_(1.5)
        posterior.mean.bias.add_(0.2)
    return (
        VAE(model.scaling, model.encoder, posterior, model.latent_prior, model.decoder, model.likelihood),
        split,
        exact,
    )


def test_regret_is_the_divergence_from_the_best_posterior(oracle, loose):
    model, split, _ = oracle
    x = torch.from_numpy(split.x)
    with torch.no_grad():
        wanted = kl_divergence(*(Independent(Normal(q.mean, q.variance.sqrt()), 1) for q in (
            loose[0].encode(x), model.encode(x)
        )))  # fmt: skip
    np.testing.assert_allclose(likelihood_regret(model, split, 0, CPU), 0, atol=1e-3)
    np.testing.assert_allclose(likelihood_regret(loose[0], split, 0, CPU), wanted, rtol=0.02)


def test_regret_is_of_a_diagonal_gaussian(oracle):
    model, split, _ = oracle
    full = VAE(
        model.scaling, model.encoder, FullPosterior(DIMENSIONS, LATENTS), model.latent_prior, model.decoder,
        model.likelihood,
    )  # fmt: skip
    with pytest.raises(ValueError, match="this is a FullGaussian"):
        likelihood_regret(full, split, 0, CPU)


def test_the_importance_bound_rises_with_k_towards_log_p(loose):
    model, split, exact = loose
    bounds = [importance_bound(model, split, k, 0, CPU).bound.mean() for k in (1, 5, 50, 1000)]
    assert all(low < high for low, high in pairwise(bounds))
    assert bounds[-1] == pytest.approx(exact.mean(), abs=0.01)
    assert bounds[0] < exact.mean() - 0.3


def test_one_pass_gives_the_bound_of_every_k(loose):
    """Within one pass the bounds of the first K draws rise on average, and the last is that of all."""
    model, split, exact = loose
    found = importance_bound(model, split, 2000, 0, CPU)
    assert list(found.bounds) == [1, 10, 100, 1000, 2000]
    one, ten, *more = [bound.mean() for bound in found.bounds.values()]
    assert one < ten < more[0]
    assert more == pytest.approx([exact.mean()] * 3, abs=0.02)
    assert list(importance_bound(model, split, 100, 0, CPU).bounds) == [1, 10, 100]


def all_log_weights(model, split, samples, seed):
    """Every weight at once, by the same draws: 200 examples are decoded in batches of 128, 32 draws and more a time."""
    with torch.no_grad(), seeded(derive(seed, "importance")):
        parts = []
        for x in torch.from_numpy(split.x).split(128):
            q, chunk = model.encode(x), 4096 // len(x)
            weights = []
            for start in range(0, samples, chunk):
                draw = q.drawn([min(chunk, samples - start)])
                weights.append(model.explain(x, draw, None).log_weight())
            parts.append(torch.cat(weights))
    return torch.cat(parts, 1).double().numpy()


def test_the_error_of_a_one_draw_elbo_holds_its_draws(oracle):
    """Over other rows and other draws, its mean lies as far off as the standard error says."""
    model, split, _ = oracle
    rows = np.random.default_rng(0).integers(0, 200, (400, 20))
    elbo = elbo_terms(model, Split(split.x[rows.ravel()], None), 0, CPU).elbo.reshape(rows.shape)
    told = np.sqrt(np.mean([standard_error(some) ** 2 for some in elbo]))
    assert elbo.mean(1).std() == pytest.approx(told, rel=0.1)


@pytest.mark.parametrize("case", ["oracle", "loose"])
def test_the_elbo_of_all_carries_the_bound_of_some(case, request):
    """Fifty of two hundred rows: the bound of all is nearer for the control variate, as its standard error says."""
    model, split, _ = request.getfixturevalue(case)
    bound = importance_bound(model, split, 50, 0, CPU)
    draw, found, plain = np.random.default_rng(0), [], []
    for seed in range(100):
        rows = draw.choice(200, 50, replace=False)
        some = ImportanceBound({50: bound.bound[rows]}, bound.bound, None)
        found.append(some.of_all(elbo_terms(model, split, seed, CPU).elbo, rows)[50])
        plain.append(bound.bound[rows].mean())
    means = np.array([estimate.mean for estimate in found])
    assert means.mean() == pytest.approx(bound.bound.mean(), abs=0.05)
    assert means.std() < {"oracle": 0.6, "loose": 1.0}[case] * np.std(plain)  # of the loose one a draw is mostly noise
    told = np.mean([estimate.standard_error for estimate in found])  # of other rows than these 200 too
    assert told == pytest.approx(np.hypot(means.std(), standard_error(bound.bound)), rel=0.1)


def test_the_bound_of_all_rows_is_itself(loose):
    model, split, _ = loose
    elbo, bound = elbo_terms(model, split, 0, CPU).elbo, importance_bound(model, split, 50, 0, CPU)
    whole = bound.of_all(elbo, np.arange(200))
    assert whole[50].mean == pytest.approx(bound.bound.mean())
    assert whole[50].standard_error == pytest.approx(standard_error(bound.bound))
    one = importance_bound(model, Split(split.x[:1], None), 5, 0, CPU)
    assert one.of_all(elbo[:1], np.arange(1))[5].standard_error is None


@pytest.mark.parametrize("samples", [25, 500])
def test_bounds_sample_size_and_tail_are_those_of_all_weights(loose, samples):
    model, split, _ = loose
    found = importance_bound(model, split, samples, 0, CPU)
    log_weights = all_log_weights(model, split, samples, 0)
    for count, bound in found.bounds.items():
        np.testing.assert_allclose(bound, logsumexp(log_weights[:count], axis=0) - np.log(count), rtol=1e-6)
    weights = np.exp(log_weights - log_weights.max(0))
    np.testing.assert_allclose(found.effective_sample_size, weights.sum(0) ** 2 / (weights**2).sum(0), rtol=1e-5)
    tail = np.sort(log_weights, axis=0)[-tail_length(samples) - 1 :]
    np.testing.assert_allclose(found.shape, pareto_shape(tail.T), rtol=1e-6)


def test_weights_that_are_all_alike_are_all_worth_something(oracle):
    model, split, _ = oracle
    found = importance_bound(model, split, 100, 0, CPU)
    np.testing.assert_allclose(found.effective_sample_size, 100, rtol=1e-4)
    assert (found.shape < 0.7).all()


def test_of_few_weights_the_tail_says_nothing(loose):
    model, split, _ = loose
    assert importance_bound(model, split, 20, 0, CPU).shape is None
    np.testing.assert_allclose(importance_bound(model, split, 1, 0, CPU).effective_sample_size, 1)


def test_a_posterior_that_is_too_narrow_has_a_heavy_tail(oracle):
    """A proposal of a quarter of the true scale has a tail of shape 1 - 1/16 (Vehtari et al., 2024, section 3.2)."""
    model, split, _ = oracle
    posterior = GaussianPosterior(DIMENSIONS, LATENTS)
    posterior.load_state_dict(model.posterior.state_dict())
    with torch.no_grad():
        posterior.log_variance.bias.sub_(2 * np.log(4))
    narrow = VAE(model.scaling, model.encoder, posterior, model.latent_prior, model.decoder, model.likelihood)
    found = importance_bound(narrow, split, 2000, 0, CPU)
    assert (found.shape > 0.7).mean() > 0.9
    assert found.effective_sample_size.mean() < 0.1 * 2000


def test_one_sample_is_the_elbo(loose):
    model, split, _ = loose
    ones = np.mean([importance_bound(model, split, 1, seed, CPU).bound.mean() for seed in range(20)])
    elbo = np.mean([elbo_terms(model, split, seed, CPU).elbo.mean() for seed in range(20)])
    assert ones == pytest.approx(elbo, abs=0.05)


def test_chunks_do_not_matter(loose, monkeypatch):
    model, split, exact = loose
    monkeypatch.setattr("vae_pipeline.metrics.importance.DECODES", 32 * 25)
    assert importance_bound(model, split, 1000, 0, CPU).bound.mean() == pytest.approx(exact.mean(), abs=0.02)


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_generator_alone(loose):
    model, split, _ = loose
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = importance_bound(model, split, 10, 3, CPU).bound
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(first, importance_bound(model, split, 10, 3, CPU).bound)
    assert not np.array_equal(first, importance_bound(model, split, 10, 4, CPU).bound)


@pytest.mark.parametrize(
    ("shape", "most", "wanted"), [((1, 28, 28), 4096, 4096), ((3, 64, 64), 4096, 261), ((3, 4000, 4000), 1024, 1)]
)
def test_larger_examples_are_decoded_fewer_at_a_time(shape, most, wanted):
    split = Split(np.broadcast_to(np.uint8(0), (10, *shape)), None)
    assert at_once(split, most) == wanted


class LinearDecoder(nn.Linear):
    def forward(self, z):
        return super().forward(z).reshape(-1, 1, 1, 1, DIMENSIONS)


def test_a_linear_model_trained_here_is_probabilistic_pca():
    """The weights that `fit` finds reach scikit-learn's exact log-likelihood (Tipping and Bishop, 1999)."""
    draw = np.random.default_rng(1)
    x = draw.standard_normal((3000, LATENTS)) @ draw.standard_normal((LATENTS, DIMENSIONS)) * 0.3
    x = (0.5 + x + 0.1 * draw.standard_normal(x.shape)).astype(np.float32)
    train, test = (Split(part.reshape(-1, 1, 1, DIMENSIONS), None) for part in (x[:2500], x[2500:]))
    fitted = PCA(LATENTS).fit(x[:2500])
    exact = fitted.score(x[2500:])

    torch.manual_seed(0)
    likelihood = GaussianLikelihood((1, 1, DIMENSIONS), "learned")
    parts = FullPosterior(DIMENSIONS, LATENTS), StandardNormalPrior(LATENTS), LinearDecoder(LATENTS, DIMENSIONS)
    model = VAE(Scaling(0, 1), Flat(), *parts, likelihood)
    values = {"epochs": 60, "max_minutes": None, "batch": 125, "accumulate": 1, "precision": "float32", "clip": None}
    values |= {"learning_rate": 0.05, "schedule": "cosine", "warm_up": 0.05, "weight_decay": 0.0, "ema": None}
    section = Train.model_construct(**values, keep="last", patience=None, stop_on_alarm=False)
    training = Training.start(model, section, ConstantControl(kind="constant", beta=1.0))
    list(fit(training, section, ElboObjective(kind="elbo"), Batches(train, 125, 0, CPU), test, 0))
    bound = importance_bound(model, test, 5000, 0, CPU).bound
    assert bound.mean() == pytest.approx(exact, abs=0.05)
    assert model.likelihood.figures()["scale"] == pytest.approx(fitted.noise_variance_**0.5, rel=0.02)
