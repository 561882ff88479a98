"""A linear way past dense nets starts as scikit-learn's probabilistic principal components."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from tests.lanes import edited, make_job

from vae_pipeline.models.build import build
from vae_pipeline.recipe import Recipe
from vae_pipeline.stages.job import sections_of
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.training.start import begin

NET = {"kind": "dense", "layers": [16], "activation": "silu", "shortcut": True}


def recipe_of(smoke, latents=3, scale="learned", **model):
    posterior = {"kind": "gaussian", "latents": latents}
    likelihood = {"kind": "gaussian", "scale": scale, "mean": "linear"}
    parts = {"encoder": NET, "decoder": NET, "posterior": posterior, "likelihood": likelihood}
    return edited(smoke, model=parts | model)


def begun(recipe, prepared):
    torch.manual_seed(0)
    model = build(recipe.model, prepared.spec).eval()
    fresh = {name: values.clone() for name, values in model.state_dict().items()}
    begin(model, sections_of(make_job("tiny", recipe, None)), prepared)
    return model, fresh


@pytest.mark.parametrize("scale", ["learned", "learned_per_channel", "learned_per_value", "optimal"])
@pytest.mark.parametrize("view", [None, {"kind": "log_gradient", "cell": 3}])
def test_its_first_elbo_is_their_likelihood(scale, view, smoke, prepared):
    """Of the exact posterior every draw has the importance weight p(x)."""
    model, _ = begun(recipe_of(smoke, scale=scale, view=view, conditional=True), prepared)
    with torch.no_grad():
        x, label = torch.from_numpy(prepared.test.x[:20]), torch.from_numpy(prepared.test.labels[:20])
        found = model.infer_by(x, torch.randn(20, 3), label).log_weight()[0]
        train, test = (
            model.scaling(torch.from_numpy(rows)).flatten(1).double().numpy()
            for rows in (prepared.train.x[:], x.numpy())
        )
    wanted = PCA(3).fit(train).score_samples(test)
    assert np.ptp(wanted) > 1
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=0.05)


def test_the_first_elbo_of_levels_is_their_likelihood_times_the_width_of_a_level(smoke, prepared):
    """Far from black and white, and of a scale of many levels, the mass of a level is the density in its middle."""
    levels = prepared.spec.high - prepared.spec.low
    random = np.random.default_rng(0)
    spread = random.normal(0, 1, (140, 3)) @ random.normal(0, 0.05, (3, prepared.spec.dimensions))
    unit = 0.5 + spread + random.normal(0, 0.03, spread.shape)
    x = (unit * levels).round().astype(np.uint8).reshape(-1, *prepared.spec.shape)
    part = replace(prepared.train, x=x[:120], labels=None)
    likelihood = {"kind": "discretised_gaussian", "scale": "learned", "mean": "linear"}
    model, _ = begun(recipe_of(smoke, likelihood=likelihood), replace(prepared, train=part))
    with torch.no_grad():
        found = model.infer_by(torch.from_numpy(x[120:]), torch.randn(20, 3)).log_weight()[0]
    wanted = PCA(3).fit(x[:120].reshape(120, -1) / levels).score_samples(x[120:].reshape(20, -1) / levels)
    np.testing.assert_allclose(found, wanted - prepared.spec.dimensions * math.log(levels), atol=0.5)


def test_a_scale_that_the_recipe_gives_is_kept_and_the_posterior_exact(smoke, prepared):
    posterior = {"kind": "full_gaussian", "latents": 3}
    model, _ = begun(recipe_of(smoke, scale=0.1, posterior=posterior), prepared)
    x = torch.from_numpy(prepared.test.x[:5])
    with torch.no_grad():
        first, other = (model.infer_by(x, torch.randn(5, 3)).log_weight() for _ in range(2))
    torch.testing.assert_close(first, other, rtol=1e-4, atol=1e-2)
    assert float(model.likelihood.scale) == pytest.approx(0.1)


def test_the_nets_can_learn_from_there(smoke, prepared):
    model, _ = begun(recipe_of(smoke), prepared)
    inference = model(torch.from_numpy(prepared.train.x[:32]))
    (inference.distortion() + inference.rate()).mean().backward()
    for name in ("posterior.mean.weight", "decoder.output.weight", "decoder.shortcut.weight", "likelihood.log_scale"):
        assert dict(model.named_parameters())[name].grad.abs().max() > 1e-4


@pytest.mark.parametrize(
    "model",
    [
        {"likelihood": {"kind": "bernoulli"}},
        {"likelihood": {"kind": "discretised_laplace", "scale": "learned", "mean": "linear"}},
        {"likelihood": {"kind": "discretised_gaussian", "scale": "learned", "mean": "sigmoid"}},
        {"posterior": {"kind": "normalised_gaussian", "latents": 3, "spread": 0.6}},
        {"encoder": NET | {"shortcut": False}, "decoder": NET | {"shortcut": False}},
    ],
)
def test_other_models_start_as_they_did(model, smoke, prepared):
    started, fresh = begun(recipe_of(smoke, **model), prepared)
    assert all(torch.equal(values, fresh[name]) for name, values in started.state_dict().items())


def test_more_latents_than_components_are_refused(smoke, prepared):
    with pytest.raises(RecipeError, match=r"latents is 144, and .* of 144 values leave 143 principal components"):
        begun(recipe_of(smoke, latents=144), prepared)


def test_one_shortcut_alone_and_one_of_a_table_are_refused(smoke, root):
    with pytest.raises(ValueError, match=r"linear way from end to end: set encoder\.shortcut and decoder\.shortcut"):
        recipe_of(smoke, decoder=NET | {"shortcut": False})
    with pytest.raises(ValueError, match="shortcut of dense nets is for images and sound; for a table leave it out"):
        edited(Recipe.load(root / "pipeline" / "tumours.yaml"), model={"encoder": NET, "decoder": NET})
