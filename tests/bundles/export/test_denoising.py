"""Denoisers in graphs: by one pass, for images of any size and in tiles, and by the mean of draws."""

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.bundle import Provenance, write_bundle
from vae_pipeline.bundles.export.denoising import DenoiseGraph, Denoising
from vae_pipeline.bundles.export.graphs import graphs_of
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.denoising import answers, fit_denoiser
from vae_pipeline.metrics.latent_map import latent_map
from vae_pipeline.metrics.parts import read
from vae_pipeline.models.build import build
from vae_pipeline.recipe.denoise import Denoise
from vae_pipeline.recipe.model import Model
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.files import write_json

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")
SHAPE = (1, 9, 10)
NET = {"kind": "residual", "channels": [8, 8], "blocks": 1, "activation": "silu", "normalisation": "local"}
MODEL = {
    "encoder": NET,
    "posterior": {"kind": "spatial_gaussian", "channels": 2},
    "prior": {"kind": "standard_normal"},
    "decoder": NET,
    "likelihood": {"kind": "laplace", "scale": "per_element", "mean": "linear"},
    "conditional": False,
}
ASKED = frozenset({GraphName.SCORE, GraphName.DENOISE, GraphName.MAP_DENOISE})


def section(draws):
    corruption = {"kind": "gaussian", "deviation": [0.1, 0.5]}
    return Denoise.model_validate({"mode": "supervised", "corruption": [corruption], "draws": draws})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("denoiser")
    spec = ImageSpec(SHAPE, "uint8", 0, 255, False)
    torch.manual_seed(0)
    model = build(Model.model_validate(MODEL), spec).eval()
    draw = np.random.default_rng(0)
    parts = [Split(draw.integers(0, 256, (count, *SHAPE)).astype(np.uint8), None) for count in (20, 60, 60)]
    prepared = Prepared(Path(), spec, *parts, digests={}).corrupted(section(0), 0)
    denoiser = fit_denoiser(model, section(0), prepared, 0, CPU)
    metrics = {"failed_gates": [], "latent_map": latent_map(model, prepared.train, 0, CPU)}
    origin, denoising = Provenance("tiny", "", "", "", "prior", "none"), Denoising(denoiser, section(0), 60)
    # The other graphs of such a bundle are asked in test_maps.py, and each takes seconds to make.
    asked = [graph for graph in graphs_of(model, None, denoiser) if graph.name in ASKED]
    made = mock.patch("vae_pipeline.bundles.export.bundle.graphs_of", lambda *_: asked)
    with made, mock.patch("vae_pipeline.runtime.signatures.OPTIONAL", frozenset(GraphName)):
        rows, _ = write_bundle(model, spec, None, [], prepared.test, metrics, origin, 0, folder, denoising)
        write_json(folder / "parity.json", {})
        yield folder, denoiser, prepared, rows


def test_the_graph_is_the_denoiser_and_its_intervals_hold_their_share_of_other_images(exported):
    folder, denoiser, prepared, rows = exported
    parity.require(rows, 1e-4)
    assert {row.output for row in rows if row.graph == GraphName.DENOISE} == {"x_clean", "x_low", "x_high"}
    assert answers(denoiser, prepared.test, CPU).coverage == pytest.approx(0.9, abs=0.05)
    bundle, given = Bundle.load(folder), read(prepared.test, slice(0, 3), CPU).x
    assert given.min() < 0 and given.max() > 255 and bundle.spec.noisy
    wanted = denoiser(given)
    found = bundle.denoise(given.numpy())
    for mine, theirs in zip((found.clean, found.low, found.high), wanted, strict=True):
        np.testing.assert_allclose(mine, theirs.detach().numpy(), atol=0.02)
    told = bundle.manifest.denoising
    assert told.corruption == ("Gaussian noise of deviation 0.1 to 0.5",) and told.factor == denoiser.intervals.factor


def test_tiles_are_the_whole_intervals_and_all(exported):
    folder, _, prepared, _ = exported
    bundle, given = Bundle.load(folder), read(prepared.test, slice(0, 6), CPU).x.numpy()
    wide = np.concatenate([np.concatenate(list(given[:3]), -1), np.concatenate(list(given[3:]), -1)], -2)[None, :, :17]
    for images, tile in ((given[:2], 4), (wide, 7)):
        whole, tiled = bundle.denoise(images), bundle.denoise(images, tile=tile)
        assert whole.clean.shape == images.shape
        for mine, theirs in zip(
            (whole.clean, whole.low, whole.high), (tiled.clean, tiled.low, tiled.high), strict=True
        ):
            np.testing.assert_allclose(mine, theirs, atol=0.02)  # of 255


def test_the_graph_of_draws_has_their_noise_in_it(exported, tmp_path):
    _, once, prepared, _ = exported
    graph = DenoiseGraph(fit_denoiser(once.model, section(4), prepared, 0, CPU))
    x = read(prepared.test, slice(0, 3), CPU).x
    proto = graph.proto(once.model.frozen().eval(), {"x": x[:2]}, {}, {"vae.graph": graph.name})
    (tmp_path / "denoise.onnx").write_bytes(proto.SerializeToString())
    found = parity.run(tmp_path / "denoise.onnx", {"x": x.numpy()}, graph.signature.outputs)
    for name, wanted in graph.answers(once.model, {"x": x}).items():
        np.testing.assert_allclose(found[name], wanted.numpy(), atol=0.02)  # of 255
    assert not np.allclose(found["x_clean"], once(x).clean.detach().numpy(), atol=0.02)
