import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import laplace, norm, t
from sklearn.decomposition import PCA
from tests.contracts.test_models import LIKELIHOODS, MORE_LIKELIHOODS, make

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.baselines import baseline_elbo, baseline_psnr
from vae_pipeline.models.likelihoods.categorical import CategoricalLikelihood
from vae_pipeline.models.likelihoods.discretised import Discretised, DiscretisedLikelihood, LaplaceTail, NormalTail
from vae_pipeline.models.likelihoods.layout import Layout
from vae_pipeline.models.likelihoods.logistic import LogisticLikelihood
from vae_pipeline.models.likelihoods.mixed import MixedLikelihood
from vae_pipeline.models.likelihoods.student_t import StudentTLikelihood
from vae_pipeline.models.likelihoods.values import Values
from vae_pipeline.models.nets.pool import Pool

SPEC = ImageSpec((1, 3, 3), "float32", -1, 3, False)


def likelihood(name):
    return make("dense", "dense", name, False, (1, 8, 8)).likelihood


def split(seed, count=50):
    x = np.random.default_rng(seed).random((count, 1, 3, 3)) ** np.arange(1, 10).reshape(1, 3, 3)
    return Split((x * 4 - 1).astype(np.float32), None)


def scaled(part):
    return (part.x.reshape(len(part), -1).astype(float) + 1) / 4


def test_bernoulli_by_hand():
    """Three pixels, seen 0, 1 and 4 times of 4: half a one and half a nought are added."""
    spec = ImageSpec((1, 1, 3), "uint8", 0, 1, True)
    train = np.array([[0, 0, 1], [0, 0, 1], [0, 1, 1], [0, 0, 1]], np.uint8).reshape(4, 1, 1, 3)
    test = np.array([[0, 1, 0]], np.uint8).reshape(1, 1, 1, 3)
    found = baseline_elbo(likelihood("bernoulli"), Split(train, None), Split(test, None), spec, 0)
    assert found == pytest.approx(np.log([4.5 / 5, 1.5 / 5, 0.5 / 5]).sum())


def test_levels_by_hand():
    spec = ImageSpec((1, 1, 2), "uint8", 0, 3, False)
    train = Split(np.array([[0, 3], [0, 3], [1, 3]], np.uint8).reshape(3, 1, 1, 2), None)
    test = Split(np.array([[0, 3], [1, 2]], np.uint8).reshape(2, 1, 1, 2), None)
    wanted = np.log([2.5 / 5, 3.5 / 5, 1.5 / 5, 0.5 / 5]).sum() / 2
    for kind in (CategoricalLikelihood(3, 4), LogisticLikelihood(3, 4, 2)):
        assert baseline_elbo(kind, train, test, spec, 0) == pytest.approx(wanted)


def test_gaussian_is_scipys():
    train, test = scaled(split(0)), scaled(split(1))
    mean = train.mean(axis=0)
    wanted = norm(mean, np.sqrt(((train - mean) ** 2).mean())).logpdf(test).sum(axis=1).mean()
    for name in ("gaussian_learned", "gaussian_optimal", "gaussian_per_element"):
        assert baseline_elbo(likelihood(name), split(0), split(1), SPEC, 0) == pytest.approx(wanted)


def test_a_scale_that_the_recipe_fixes_is_kept():
    wanted = norm(scaled(split(0)).mean(axis=0), 0.5).logpdf(scaled(split(1))).sum(axis=1).mean()
    assert baseline_elbo(likelihood("gaussian_fixed"), split(0), split(1), SPEC, 0) == pytest.approx(wanted)


def test_laplace_is_scipys():
    train, test = scaled(split(0)), scaled(split(1))
    location = np.median(train, axis=0)
    wanted = laplace(location, np.abs(train - location).mean()).logpdf(test).sum(axis=1).mean()
    assert baseline_elbo(likelihood("laplace_learned"), split(0), split(1), SPEC, 0) == pytest.approx(wanted)


@pytest.mark.parametrize(("tail", "scale"), [(LaplaceTail(), "learned"), (NormalTail(), 0.2)])
def test_a_discretised_one_is_as_likely_as_an_optimiser_makes_it(tail, scale):
    """Two pixels, one often black: centres and scale by Nelder and Mead, on the images that fitted ours."""
    x = np.random.default_rng(0).integers(-40, 140, (60, 1, 1, 2)).clip(0, 255) + np.array([0, 100])
    spec, part = ImageSpec((1, 1, 2), "uint8", 0, 255, False), Split(x.astype(np.uint8), None)
    values = torch.from_numpy(x / 255).reshape(-1, 2)

    def cost(at):
        width = torch.tensor(np.exp(at[2]) if scale == "learned" else scale)
        return -Discretised(tail, torch.from_numpy(at[:2]), width, 256, 1).log_prob(values).mean().item()

    best = minimize(cost, np.array([0.1, 0.6, -1.0]), method="Nelder-Mead", options={"maxiter": 200}).fun
    likelihood = DiscretisedLikelihood(tail, (1, 1, 2), scale, "linear", 256)
    assert baseline_elbo(likelihood, part, part, spec, 0) == pytest.approx(-best, abs=2e-3)


def heavy(seed, count=600):
    return t(2.5, 0.4, 0.05).rvs((count, 1), random_state=seed)


def values(x):
    return Values(len(x), lambda: iter([x[:100], x[100:]]), lambda: x)


@pytest.mark.parametrize(
    ("scale", "degrees", "given"), [("learned", "learned", {}), (0.1, 2.0, {"fdf": 2, "fscale": 0.1})]
)
def test_students_t_is_scipys(scale, degrees, given):
    wanted = t(*t.fit(heavy(0), **given)).logpdf(heavy(1)).mean()
    likelihood = StudentTLikelihood((1,), scale, "linear", degrees)
    assert likelihood.independent(values(heavy(0)), values(heavy(1))) == pytest.approx(wanted, abs=1e-4)


def test_of_students_t_a_column_is_scipys_however_many_are_missing():
    layout = Layout(("number", "boolean"), (Pool(0), Pool(0)), (True, False))
    parts = []
    for seed in (0, 1):
        numbers = heavy(seed)
        present = np.arange(len(numbers)) % 3 > 0
        columns = np.stack([np.where(present, numbers[:, 0], 0), np.ones(len(numbers))], 1)
        mask = np.stack([present, np.ones(len(numbers))], 1).astype(float)
        parts.append((np.stack([columns, mask], 1), numbers[present]))
    found = MixedLikelihood(layout, "learned_per_column", heavy=True).independent(*(values(rows) for rows, _ in parts))
    seen = np.log((600 + 0.5) / 601)  # of the boolean, which is always one
    wanted = t(*t.fit(parts[0][1])).logpdf(parts[1][1]).sum() / 600 + seen
    assert found == pytest.approx(wanted, abs=1e-4)


def test_every_likelihood_has_one():
    spec = ImageSpec((1, 8, 8), "uint8", 0, 255, False)
    parts = [Split(np.random.default_rng(k).integers(0, 256, (9, 1, 8, 8)).astype(np.uint8), None) for k in (0, 1)]
    for name in LIKELIHOODS | MORE_LIKELIHOODS:
        assert np.isfinite(baseline_elbo(likelihood(name), *parts, spec, 0))


def test_chunks_do_not_matter(monkeypatch):
    whole = [baseline_elbo(likelihood(name), split(0), split(1), SPEC, 0) for name in ("bernoulli", "laplace_learned")]
    whole.append(baseline_psnr(split(0), split(1), SPEC, 4, 0))
    monkeypatch.setattr("vae_pipeline.metrics.baselines.ROWS", 7)
    parts = [baseline_elbo(likelihood(name), split(0), split(1), SPEC, 0) for name in ("bernoulli", "laplace_learned")]
    parts.append(baseline_psnr(split(0), split(1), SPEC, 4, 0))
    assert parts == pytest.approx(whole)


def test_values_that_never_change_are_finite():
    same = Split(np.full((5, 1, 3, 3), 2, np.float32), None)
    assert np.isfinite(baseline_elbo(likelihood("gaussian_learned"), same, same, SPEC, 0))


def test_principal_components():
    train, test = scaled(split(0)), scaled(split(1))
    components = PCA(4, svd_solver="full").fit(train)
    output = components.inverse_transform(components.transform(test)).clip(0, 1)
    wanted = (-10 * np.log10(((test - output) ** 2).mean(axis=1))).mean()
    assert baseline_psnr(split(0), split(1), SPEC, 4, 0) == pytest.approx(wanted, rel=1e-3)


def test_as_many_components_as_values_are_perfect_and_more_there_are_not():
    assert baseline_psnr(split(0), split(1), SPEC, 9, 0) == pytest.approx(100, abs=5)
    assert baseline_psnr(split(0), split(1), SPEC, 10, 0) is None
    assert baseline_psnr(split(0, 3), split(1), SPEC, 4, 0) is None
