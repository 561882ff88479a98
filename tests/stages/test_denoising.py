"""A denoiser from its recipe to its bundle, and what is refused of it."""

import json
from unittest import mock

import numpy as np
import pytest
from tests.lanes import ROOT, WAIVED, edited, make_job, run_lane

from vae_pipeline.bundles.export import bundle as exporting
from vae_pipeline.bundles.variants.shrink import shrink
from vae_pipeline.recipe import Recipe
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.errors import BundleError

pytestmark = pytest.mark.slow
NET = {"kind": "residual", "channels": [8], "blocks": 1, "activation": "silu", "normalisation": "local"}
CHANGED = {
    "train": {
        "denoise": {"mode": "supervised", "corruption": [{"kind": "gaussian", "deviation": [0.3, 0.6]}], "draws": 0},
        "epochs": 4,
    },
    "rate_control": {"beta": 0.1},
    "model": {
        "encoder": NET,
        "decoder": NET,
        "posterior": {"kind": "spatial_gaussian", "channels": 2},
        "likelihood": {"kind": "gaussian", "scale": "per_element", "mean": "linear"},
    },
    "evaluate": {**WAIVED, "gates": {}, "examples": 20, "samples": 4},
}
ASKED = (GraphName.SCORE, GraphName.DENOISE)


@pytest.fixture(scope="module")
def lane(tmp_path_factory):
    """One whose bundle has some graphs alone, since each takes seconds to make."""
    folder = tmp_path_factory.mktemp("denoiser")
    recipe = Recipe.load(ROOT / "pipeline" / "digits.yaml").model_copy(update={"sampler": "prior", "detection": None})
    whole = exporting.graphs_of
    some = mock.patch.object(
        exporting, "graphs_of", lambda *given: tuple(graph for graph in whole(*given) if graph.name in ASKED)
    )
    with some, mock.patch("vae_pipeline.runtime.signatures.OPTIONAL", frozenset(GraphName)):
        yield run_lane(make_job("digits", edited(recipe, **CHANGED), folder / "home"), folder)


def test_answers_are_nearer_than_inputs_and_intervals_hold_what_they_promise(lane):
    figures = json.loads((lane.report / "metrics.json").read_text())
    assert figures["psnr_of_denoised"] > figures["psnr_of_input"] + 1
    assert set(figures["psnr_by_level"]) == {"0.3", "0.45", "0.6"}
    for coverage in (figures["interval_coverage"], *figures["coverage_by_level"].values()):
        assert 0.85 <= coverage <= 0.95
    assert figures["coverage_of_unsure"] == pytest.approx(0.9, abs=0.07)
    assert (lane.report / "plots" / "denoised.png").exists()


def test_a_bundle_denoises_what_is_beyond_the_range_and_has_no_variant(lane, tmp_path):
    bundle, clean = Bundle.load(lane.bundle), np.load(lane.data / "test.npy").astype(np.float32)
    given = clean + 16 * 0.45 * np.random.default_rng(0).standard_normal(clean.shape).astype(np.float32)
    found = bundle.denoise(given)
    assert ((found.clean - clean) ** 2).mean() < 0.7 * ((given - clean) ** 2).mean()
    assert ((found.low <= clean) & (clean <= found.high)).mean() == pytest.approx(0.9, abs=0.05)
    assert (found.low <= found.clean).all() and (found.clean <= found.high).all()
    with pytest.raises(BundleError, match="is a model of corrupted images, of which no variant is made"):
        shrink(lane.bundle, "fp16", lane.data, tmp_path / "variant")
