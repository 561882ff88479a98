"""Denoisers from recipe to bundle."""

import json

import numpy as np
import pytest
from tests.lanes import ROOT, WAIVED, edited, make_job, run_lane
from typer.testing import CliRunner

from vae_pipeline.bundles.variants.shrink import shrink
from vae_pipeline.cli.main import app
from vae_pipeline.recipe import Recipe
from vae_pipeline.runtime import Bundle
from vae_pipeline.system.errors import BundleError

pytestmark = pytest.mark.slow
RANGE = {"mode": "supervised", "corruption": [{"kind": "gaussian", "deviation": [0.3, 0.6]}], "draws": 4}
ONCE = {"mode": "noisy_only", "corruption": [{"kind": "gaussian", "deviation": 0.5}], "draws": 4}
NET = {"kind": "residual", "channels": [8], "blocks": 1, "activation": "silu", "normalisation": "local"}
MODELS = {
    "map": (
        RANGE,
        {
            "encoder": NET,
            "decoder": NET,
            "posterior": {"kind": "spatial_gaussian", "channels": 2},
            "likelihood": {"kind": "laplace", "scale": "learned", "mean": "linear"},
        },
    ),
    "noisy_only": (ONCE, {"likelihood": {"kind": "gaussian", "scale": 0.5, "mean": "sigmoid"}}),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One for both, since the classifier of features is that of the same data."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module", params=MODELS)
def made(request, home, tmp_path_factory):
    denoise, model = MODELS[request.param]
    recipe = edited(
        Recipe.load(ROOT / "pipeline" / "digits.yaml").model_copy(update={"sampler": "prior"}),
        train={"denoise": denoise, "epochs": 4 if request.param == "map" else 20},
        rate_control={"beta": 0.1 if request.param == "map" else 1.0},
        model=model,
        detection={"score": "rate"},
        evaluate={**WAIVED, "gates": {}, "examples": 20, "samples": 4},
    )
    return request.param, run_lane(make_job("digits", recipe, home), tmp_path_factory.mktemp(request.param))


def noisy(lane, level=0.5):
    clean = np.load(lane.data / "test.npy").astype(np.float32)
    return clean, clean + 16 * level * np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)


def test_answers_are_nearer_than_inputs_and_intervals_hold_what_they_promise(made):
    name, lane = made
    figures = json.loads((lane.report / "metrics.json").read_text())
    assert figures["psnr_of_denoised"] > figures["psnr_of_input"] + 1
    assert 0.85 <= figures["interval_coverage"] <= 0.95
    assert set(figures.get("coverage_by_level", {})) == (set() if name == "noisy_only" else {"0.3", "0.45", "0.6"})
    assert (lane.report / "plots" / "denoised.png").exists()
    clean, given = noisy(lane)
    found = Bundle.load(lane.bundle).denoise(given)
    assert ((found.clean - clean) ** 2).mean() < 0.8 * ((given - clean) ** 2).mean()
    assert ((found.low <= clean) & (clean <= found.high)).mean() == pytest.approx(0.9, abs=0.06)
    assert (found.low <= found.clean).all() and (found.clean <= found.high).all()


def test_a_map_denoises_images_of_any_size_in_tiles_as_the_whole_and_as_the_graph(made):
    name, lane = made
    if name != "map":
        return
    bundle = Bundle.load(lane.bundle)
    _, given = noisy(lane)
    graph, tiled = bundle.denoise(given[:2]), bundle.denoise(given[:2], tile=3)
    wide = np.concatenate([np.concatenate(list(given[:6]), -1), np.concatenate(list(given[6:12]), -1)], -2)[
        None, :, :15
    ]
    whole, parts = bundle.denoise(wide), bundle.denoise(wide, tile=7)
    for one, other in ((graph, tiled), (whole, parts)):
        for mine, theirs in zip((one.clean, one.low, one.high), (other.clean, other.low, other.high), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=2e-4)


def test_a_bundle_takes_noise_beyond_the_range_scores_it_and_has_no_variant(made, tmp_path):
    _, lane = made
    bundle = Bundle.load(lane.bundle)
    _, given = noisy(lane)
    assert given.min() < 0 and given.max() > 16
    assert (bundle.detect(given).p_value < 0.05).mean() < 0.15
    with pytest.raises(BundleError, match="is a model of corrupted images, of which no variant is made"):
        shrink(lane.bundle, "fp16", lane.data, tmp_path / "variant")
    np.save(tmp_path / "x.npy", given[:2])
    arguments = ["denoise", lane.bundle, tmp_path / "x.npy", "-o", tmp_path / "o.npz", "--intervals"]
    assert CliRunner().invoke(app, [str(each) for each in arguments]).exit_code == 0
    answer = np.load(tmp_path / "o.npz")
    np.testing.assert_array_equal(answer["low"], bundle.denoise(given[:2]).low)
