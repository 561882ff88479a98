"""The Denoiser of notebooks: clean images behind noisy ones, intervals that hold, and scikit-learn's ways."""

import copy
import pickle
from unittest import mock

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_tv_chambolle
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from tests.lanes import ROOT

from vae_pipeline import Bundle, Denoiser, Recipe, load
from vae_pipeline.bundles.export.denoising import DenoiseGraph
from vae_pipeline.bundles.export.graphs import SCORE
from vae_pipeline.runtime.signatures import GraphName

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
NOISE = 0.3
NET = {"kind": "dense", "layers": [128], "activation": "silu"}


def recipe():
    """A small dense net for any images: the recipe smoke, with a likelihood that says how sure it is."""
    values = Recipe.load(ROOT / "pipeline" / "smoke.yaml").model_dump(mode="json")
    values["model"] |= {
        "encoder": NET,
        "decoder": NET,
        "posterior": {"kind": "gaussian", "latents": 16},
        "likelihood": {"kind": "gaussian", "scale": "per_element", "mean": "linear"},
    }
    values["rate_control"]["beta"], values["detection"] = 0.05, None
    values["train"] |= {
        "learning_rate": 0.004,
        "denoise": {"mode": "supervised", "corruption": [{"kind": "gaussian", "deviation": NOISE}], "draws": 0},
    }
    return Recipe.model_validate(values)


@pytest.fixture(scope="module")
def digits():
    """Digits of 8 x 8 pixels with values from 0 to 16: those to fit to, and others."""
    images = load_digits().images
    return images[:1500], images[1500:]


@pytest.fixture(scope="module")
def denoiser(digits):
    return Denoiser(recipe(), steps=200).fit(digits[0])


def test_it_comes_nearer_than_total_variation(denoiser, digits):
    """scikit-image's, at the best of three weights on these very images."""
    clean = digits[1][:100]
    noisy = denoiser.corrupt(clean)

    def reached(found):
        return np.mean([
            peak_signal_noise_ratio(y / 16, np.clip(x / 16, 0, 1), data_range=1)
            for x, y in zip(found, clean, strict=True)
        ])  # fmt: skip

    flat = max(reached([denoise_tv_chambolle(x, weight) for x in noisy]) for weight in (1, 2, 3))
    assert reached(np.asarray(denoiser.transform(noisy))) > flat > reached(noisy)
    assert denoiser.score(clean) == pytest.approx(reached(np.asarray(denoiser.transform(noisy))), abs=1e-3)


def test_without_a_recipe_it_has_one_that_suits_the_images(digits):
    images = np.repeat(digits[0][:40, :, :, None], 3, 3)[:, :7]  # in colour, of odd height
    fitted = Denoiser(steps=1).fit(images)
    noisy = fitted.corrupt(images)
    assert fitted.transform(noisy).shape == images.shape
    assert fitted.recipe_.train.denoise.corruption[0].deviation == (0.05, 0.5)


def test_its_intervals_hold_the_share_that_was_asked_for(denoiser, digits):
    noisy = denoiser.corrupt(digits[1], random_state=1)
    low, high = denoiser.predict_interval(noisy)
    assert ((low <= digits[1]) & (digits[1] <= high)).mean() == pytest.approx(0.9, abs=0.03)
    clean = denoiser.transform(noisy)
    assert ((low <= clean) & (clean <= high)).all()


def test_corruption_is_the_noise_that_was_asked_for(denoiser, digits):
    clean = digits[1]
    noise = (denoiser.corrupt(clean) - clean) / 16
    assert np.std(noise) == pytest.approx(NOISE, rel=0.02)
    assert np.mean(noise) == pytest.approx(0, abs=0.02)
    np.testing.assert_array_equal(denoiser.corrupt(clean[:5]), clean[:5] + 16 * noise[:5])
    assert not np.array_equal(denoiser.corrupt(clean[:5], random_state=1), denoiser.corrupt(clean[:5]))


def test_what_is_saved_and_copied_denoises_alike(denoiser, digits, tmp_path):
    noisy = denoiser.corrupt(digits[1][:20])
    denoiser.save(tmp_path / "denoiser")
    copied = pickle.loads(pickle.dumps(denoiser))  # noqa: S301 (our own)
    for other in (load(tmp_path / "denoiser"), Denoiser.load(tmp_path / "denoiser"), copy.deepcopy(denoiser), copied):
        for found, wanted in zip(other.predict_interval(noisy), denoiser.predict_interval(noisy), strict=True):
            np.testing.assert_array_equal(found, wanted)
        assert other.get_params() == denoiser.get_params()


@pytest.mark.parametrize(
    ("corruption", "told"),
    [
        (0.5, [{"kind": "gaussian", "deviation": 0.5}]),
        ((0.1, np.float64(0.4)), [{"kind": "gaussian", "deviation": (0.1, 0.4)}]),
        ({"kind": "poisson", "peak": 30}, [{"kind": "poisson", "peak": 30}]),
        ([{"kind": "blur", "deviation": 1}, {"kind": "speckle", "deviation": 0.1}],
         [{"kind": "blur", "deviation": 1}, {"kind": "speckle", "deviation": 0.1}]),
    ],
)  # fmt: skip
def test_a_corruption_is_told_as_it_is_thought_of(corruption, told, digits):
    fitted = Denoiser(recipe(), corruption=corruption, steps=1).fit(digits[0][:40])
    assert [step.model_dump() for step in fitted.recipe_.train.denoise.corruption] == told
    assert clone(fitted).corruption == corruption


def test_a_recipe_keeps_what_no_parameter_changes(digits):
    section = Denoiser(recipe(), coverage=0.8, steps=1).fit(digits[0][:40]).recipe_.train.denoise
    assert section.model_dump() == {**recipe().train.denoise.model_dump(), "coverage": 0.8}


def test_it_keeps_scikit_learns_rules():
    for check in (
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_mixin_order,
        estimator_checks.check_valid_tag_types,
    ):
        check("Denoiser", Denoiser())


def test_what_it_refuses(denoiser, digits):
    images, other = digits[0][:40], digits[1]
    for asked, message in (
        (lambda: Denoiser(corruption="much").fit(images), "corruption='much' was given; wanted a number"),
        (lambda: Denoiser(corruption=(0.5, 0.1)).fit(images), "wanted the lower one first"),
        (lambda: Denoiser(corruption=-1).fit(images), "deviation"),
        (lambda: Denoiser(mode="blind").fit(images), "mode"),
        (lambda: Denoiser(mode="noisy_only").fit(images), "with one number for its deviation"),
        (lambda: Denoiser().fit(images.reshape(40, 64)), "data of the kind table were given; a Denoiser takes images"),
        (lambda: denoiser.transform(other[:, :4]), r"X has the shape \[297, 4, 8\]"),
        (lambda: denoiser.transform(np.full((1, 8, 8), np.nan)), "NaN"),
        (lambda: denoiser.corrupt(np.full((1, 8, 8), 17.0)), r"raw values in \[0, 16\]"),
    ):
        with pytest.raises(ValueError, match=message):
            asked()
    with pytest.raises(NotFittedError):
        Denoiser().transform(images)
    with pytest.raises(NotFittedError):
        Denoiser().score(images)


@pytest.mark.slow
def test_its_bundle_answers_as_it_does(denoiser, digits, tmp_path):
    noisy = denoiser.corrupt(digits[1][:20])
    graphs = "vae_pipeline.bundles.export.bundle.graphs_of"
    made = mock.patch(graphs, lambda _model, _detector, found, _images: (SCORE, DenoiseGraph(found)))
    with made, mock.patch("vae_pipeline.runtime.signatures.OPTIONAL", frozenset(GraphName)):
        denoiser.export(tmp_path / "bundle")
        found = Bundle.load(tmp_path / "bundle").denoise(np.asarray(noisy)[:, None])
    low, high = denoiser.predict_interval(noisy)
    for theirs, ours in ((found.clean, denoiser.transform(noisy)), (found.low, low), (found.high, high)):
        np.testing.assert_allclose(theirs[:, 0], ours, atol=1e-3)
