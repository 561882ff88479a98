import json

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import kstest, multivariate_normal, norm

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.features import reference
from vae_pipeline.metrics.generation import LEAST, frechet_distance
from vae_pipeline.metrics.mixtures import chosen_mixture, mixture
from vae_pipeline.metrics.samples import SAMPLES, sample_features, samples
from vae_pipeline.models.build import build
from vae_pipeline.models.weights import load_weights, save_weights
from vae_pipeline.recipe.sampler import FlowMatching, MixtureOf
from vae_pipeline.runtime.manifest import WIDEST
from vae_pipeline.system.errors import WeightsError
from vae_pipeline.training import sampling
from vae_pipeline.training.flow_matching import draws_of, fit_flow_matching
from vae_pipeline.training.sampling import candidates, choose_sampler, fit_sampler, of_features
from vae_pipeline.training.trained import Trained


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(sampling, "STEPS", 200)


@pytest.fixture(scope="module")
def trained(lane):
    return Trained.load(lane.model), Prepared.open(lane.data)


def crescent(count, seed=0):
    draw = np.random.default_rng(seed)
    angle, length = draw.uniform(0, np.pi, count), 3 + 0.3 * draw.standard_normal(count)
    return np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1).astype(np.float32)


def noise(sampler, count=20_000):
    return torch.randn(count, sampler.noise, generator=torch.Generator().manual_seed(0))


def matched(z):
    asked = FlowMatching(kind="flow_matching", steps=32, width=64, layers=1, updates=600)
    return fit_flow_matching(torch.from_numpy(z), (z.shape[1],), asked)


def mixture_of(z, components):
    return sampling._as_sampler(mixture(z, components, 0))


@pytest.mark.parametrize("kind", ["gaussian", "mixture", "flow"])
def test_a_fitted_sampler_has_the_moments_of_its_draws(kind):
    torch.manual_seed(0)
    z = crescent(5000)
    sampler = {"gaussian": lambda: mixture_of(z, 1), "mixture": lambda: mixture_of(z, 10),
               "flow": lambda: sampling._flow(z)}[kind]()  # fmt: skip
    drawn = sampler(noise(sampler)).numpy()
    np.testing.assert_allclose(drawn.mean(0), z.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(z.T), atol=0.25)


def test_a_flow_and_a_mixture_know_a_crescent_better_than_a_gaussian():
    torch.manual_seed(0)
    z, others = crescent(5000), crescent(2000, seed=1)
    exact = multivariate_normal(z.mean(0), np.cov(z.T)).logpdf(others).mean()
    flow = sampling._flow(z)
    constant = np.log(2 * np.pi) + np.log(flow.scale.numpy()).sum()
    assert flow.log_prob(torch.from_numpy(others)).mean().item() - constant > exact + 0.5
    inside = lambda x: ((np.linalg.norm(x, axis=1) > 2) & (np.linalg.norm(x, axis=1) < 4)).mean()  # noqa: E731
    mixture, gaussian = mixture_of(z, 10), mixture_of(z, 1)
    assert inside(mixture(noise(mixture)).numpy()) > 0.95
    assert inside(gaussian(noise(gaussian)).numpy()) < 0.8


def test_draws_by_flow_matching_are_those_of_the_mixture_that_was_learned():
    draw, weights = np.random.default_rng(0), np.array([0.5, 0.2, 0.3])
    centres = np.array([[-3.0, 0.0], [2.0, -2.0], [2.0, 3.0]])
    z = (centres[draw.choice(3, 4000, p=weights)] + draw.standard_normal((4000, 2))).astype(np.float32)
    torch.manual_seed(0)
    drawn = matched(z)(torch.randn(1000, 2)).numpy()
    nearest = np.linalg.norm(drawn[:, None] - centres, axis=2).argmin(1)
    np.testing.assert_allclose(np.bincount(nearest) / 1000, weights, atol=0.05)
    for direction in np.array([[1, 0], [0, 1], [0.6, 0.8], [0.8, -0.6]]):
        exact = lambda values, at=centres @ direction: norm.cdf(values[:, None] - at) @ weights  # noqa: E731
        assert kstest(drawn @ direction, exact).pvalue > 0.05


def test_draws_by_flow_matching_have_the_moments_of_the_latents_however_little_was_learned():
    """After one update the network still leaves noise nearly as it is."""
    draw = np.random.default_rng(0)
    z = draw.multivariate_normal([1.0, -2.0, 5.0], [[4.0, 1.8, 0], [1.8, 1.0, 0], [0, 0, 1e-20]], 5000)
    asked = FlowMatching(kind="flow_matching", steps=2, width=8, layers=1, updates=1)
    torch.manual_seed(0)
    sampler = fit_flow_matching(torch.from_numpy(z).float(), (3,), asked)
    drawn = sampler(torch.randn(50_000, 3)).numpy()
    np.testing.assert_allclose(drawn.mean(0), z.mean(0), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(z.T), atol=0.12)
    noise = torch.randn(9, 3)
    back = sampler.inverse(sampler(noise))[:, :2]  # of the third, float32 keeps nothing beside its mean
    torch.testing.assert_close(back, noise[:, :2], rtol=0, atol=0.05)


def test_draws_of_large_maps_fit_into_memory():
    assert draws_of(32) == draws_of(4 * 16 * 16) == 100_000
    assert draws_of(4 * 64 * 64) * 4 * 64 * 64 * np.float32().nbytes == 2**29
    assert draws_of(WIDEST) > 2000


@pytest.mark.slow
def test_flow_matching_of_a_map_has_the_moments_of_each_place():
    draw, side = np.random.default_rng(0), np.linspace(0, 1, 12)
    spread = np.exp(-10 * (side[:, None] - side) ** 2)
    z = draw.multivariate_normal(np.linspace(-3, 3, 12), 4 * spread, 4000).astype(np.float32)
    torch.manual_seed(0)
    asked = FlowMatching(kind="flow_matching", steps=4, width=16, layers=1)
    sampler = fit_flow_matching(torch.from_numpy(z), (1, 3, 4), asked)
    drawn = sampler(torch.randn(20_000, 12)).numpy()
    np.testing.assert_allclose(drawn.mean(0), z.mean(0), atol=0.2)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(z.T), atol=0.4)


@pytest.mark.parametrize("groups", [8, 30])
def test_components_double_until_held_out_draws_are_no_likelier(groups):
    draw = np.random.default_rng(0)
    centres = 20 * draw.standard_normal((groups, 2))
    z, held_out = (centres[draw.integers(0, groups, 2000)] + draw.standard_normal((2000, 2)) for _ in range(2))
    found = chosen_mixture(z, held_out, 0)
    exact = np.mean(logsumexp([multivariate_normal(c).logpdf(held_out) for c in centres], axis=0) - np.log(groups))
    assert groups / 2 < found.n_components <= 2 * groups
    assert found.score(held_out) == pytest.approx(exact, abs=0.2)


def test_few_draws_have_few_components():
    z = np.random.default_rng(0).standard_normal((60, 3))
    assert chosen_mixture(z[:40], z[40:], 0).n_components <= 2
    assert mixture(z[:4], 10, 0).n_components == 4


def test_a_count_of_components_is_asked_for(smoke, trained):
    recipe = type(smoke).model_validate(
        {**smoke.model_dump(mode="json"), "sampler": {"kind": "mixture", "components": 3}}
    )
    assert recipe.sampler == MixtureOf(kind="mixture", components=3)
    model, prepared = trained[0].model, trained[1]
    assert len(fit_sampler(recipe.sampler, model, prepared.train, 0).mean) == 3
    assert len(fit_sampler("mixture", model, prepared.train, 0).mean) == 10
    with pytest.raises(ValueError, match="greater than"):
        MixtureOf(kind="mixture", components=0)


def test_the_nearest_is_chosen_and_the_same_again(trained, tmp_path):
    model, prepared = trained[0].model, trained[1]
    features = reference(prepared, tmp_path, torch.device("cpu"))
    distance = of_features(prepared.train, prepared.valid, features, 3)
    choice = choose_sampler(model, prepared.train, distance, seed=3)
    assert len(prepared.valid) < LEAST  # and so the training part is compared with
    assert model.sampler is None  # as it was
    assert list(choice.distances) == candidates(model) == ["prior", "gaussian", "mixture", "flow"]
    assert choice.distances[choice.kind] == min(choice.distances.values())
    model.sampler = choice.sampler
    try:
        again = frechet_distance(features.of(prepared.train), sample_features(model, prepared.train, features, 3))
    finally:
        model.sampler = None
    assert again == choice.distances[choice.kind]
    assert (
        choose_sampler(
            model, prepared.train, of_features(prepared.train, prepared.valid, features, 3), seed=3
        ).distances
        == choice.distances
    )


def test_samples_are_images_and_as_many_as_asked(trained):
    model, prepared = trained[0].model, trained[1]
    drawn = torch.cat(list(samples(model, prepared.train, 0)))
    assert drawn.shape == (SAMPLES, *prepared.spec.event_shape)
    assert drawn.min() >= 0 and drawn.max() <= 1


LITTLE = FlowMatching(kind="flow_matching", steps=2, width=8, layers=1, updates=5)


def test_the_best_of_the_kinds_that_are_named_is_chosen(trained, tmp_path, monkeypatch):
    model, prepared = trained[0].model, trained[1]
    fitted = fit_sampler(LITTLE, model, prepared.train, 0)
    monkeypatch.setattr(sampling, "fit_flow_matching", lambda *_: fitted)
    features = reference(prepared, tmp_path, torch.device("cpu"))
    among = ("flow_matching", "prior")
    choice = choose_sampler(model, prepared.train, of_features(prepared.train, prepared.valid, features, 3), 3, among)
    assert tuple(choice.distances) == among
    assert choice.distances[choice.kind] == min(choice.distances.values())


@pytest.mark.parametrize("kind", ["prior", "gaussian", "mixture", "flow", LITTLE])
def test_the_sampler_is_part_of_the_weights(kind, trained, tmp_path):
    found, prepared = trained
    model = build(found.recipe.model, found.spec)
    model.sampler = fit_sampler(kind, model, prepared.train, 0)
    path = tmp_path / "weights.safetensors"
    save_weights(model.state_dict(), path)
    other = build(found.recipe.model, found.spec)
    load_weights(other, path)
    given = noise(model, 50)
    torch.testing.assert_close(other.draw(given), model.draw(given), rtol=0, atol=0)


def test_weights_of_no_known_sampler_are_refused(trained, tmp_path):
    model = build(trained[0].recipe.model, trained[0].spec)
    path = tmp_path / "weights.safetensors"
    save_weights({**model.state_dict(), "sampler.something": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="sampler that isn't one"):
        load_weights(model, path)


def test_what_was_chosen_is_said(lane):
    assert json.loads((lane.model / "sampler.json").read_text()) == {"kind": "prior", "distances": {}}
