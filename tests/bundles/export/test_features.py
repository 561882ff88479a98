"""A bundle of features: its graphs in two runtimes, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from tests.lanes import edited, make_job
from tests.models.features.test_backbone import MAPS, write

from vae_pipeline.bundles.explorer.page import require_shown
from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.graph import example_inputs
from vae_pipeline.bundles.export.graphs import ENCODER, graphs_of
from vae_pipeline.metrics.detection import fit_detector
from vae_pipeline.models.build import build
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.agreement import Units
from vae_pipeline.stages.job import sections_of
from vae_pipeline.system.errors import BundleError
from vae_pipeline.system.files import sha256_of
from vae_pipeline.training.start import begin

CPU = torch.device("cpu")
NET = {"kind": "dense", "layers": [8], "activation": "silu", "shortcut": True}
MODEL = {
    "view": {"kind": "hog", "cell": 4, "block": 2, "orientations": 4},
    "encoder": NET,
    "decoder": NET,
    "likelihood": {"kind": "gaussian", "scale": "learned_per_value", "mean": "linear"},
}
KEPT = ("encoder", "score", "detect")


def begun(recipe, prepared):
    torch.manual_seed(0)
    model = build(recipe.model, prepared.spec)
    begin(model, recipe, prepared)
    return model.eval()


def sections(smoke, **view):
    return sections_of(make_job("features", edited(smoke, model=MODEL | {"view": view or MODEL["view"]}), None))


def exported(graph, model, x):
    """The graph, and its answers in onnxruntime and in onnx's reference beside the model's."""
    proto = graph.proto(model.frozen().eval(), example_inputs(graph, model, x[:2], None, 0), {}, {"vae.graph": "tiny"})
    inputs = {"x": x.numpy()}
    wanted = {name: values.numpy() for name, values in graph.answers(model, {"x": x}).items()}
    for run in (
        lambda: parity.run(proto.SerializeToString(), inputs, wanted),
        lambda: dict(zip(wanted, ReferenceEvaluator(proto).run(list(wanted), inputs), strict=True)),
    ):
        yield proto, wanted, run()


@pytest.mark.slow
def test_histograms_detect_in_pixels_as_the_model_does(smoke, prepared):
    """Bars lie on a flat ground, where a histogram is 0 / (0 + ε)."""
    recipe = sections(smoke)
    model, x = begun(recipe, prepared), torch.from_numpy(prepared.test.x[:5])
    detector = fit_detector(model, smoke.detection, prepared, 0, CPU)
    graphs = {graph.name: graph for graph in graphs_of(model, detector)}
    assert tuple(graphs) == KEPT
    for _, wanted, found in exported(graphs["detect"], model, x):
        parity.require(parity.compare("detect", found, wanted, Units(prepared.spec, detector.kind)), 1e-5)
        assert found["contributions"].shape == (5, 1, 12, 12) and (found["contributions"] >= 0).all()


@pytest.mark.slow
def test_a_users_network_is_inside_the_graph(smoke, prepared, tmp_path):
    file = write(tmp_path / "net.onnx", MAPS)
    recipe = sections(smoke, kind="onnx", file=str(file))
    assert recipe.model.view.sha256 == sha256_of(file)
    model = begun(recipe, prepared)
    file.unlink()  # nothing of it is needed from here on
    for proto, wanted, found in exported(ENCODER, model, torch.from_numpy(prepared.test.x[:5])):
        parity.require(parity.compare("encoder", found, wanted, Units(prepared.spec, None)), 1e-5)
        assert [node.op_type for node in proto.graph.node].count("Conv") == 1
    with pytest.raises(Exception, match=r"model\.view\.file: .*net\.onnx can't be read"):
        sections(smoke, kind="onnx", file=str(file))


@pytest.fixture(scope="module")
def bundle(lane):
    """The graphs of a bundle that one of features has too."""
    whole = Bundle.load(lane.bundle)
    graphs = {name: whole.manifest.graphs[name] for name in KEPT}
    return Bundle(whole.folder, dataclasses.replace(whole.manifest, graphs=graphs))


def test_what_would_make_an_image_is_refused_in_one_line(bundle, prepared):
    x, z = prepared.test.x[:2], np.zeros((1, bundle.latents), np.float32)
    assert bundle.features and len(bundle.detect(x).score) == len(bundle.encode(x).mean) == 2
    for ask in (
        lambda: bundle.sample(2),
        lambda: bundle.generate(2),
        lambda: bundle.decode(z),
        lambda: bundle.reconstruct(x),
        lambda: bundle.denoise(x),
        lambda: bundle.interpolate(x[0], x[1], 3),
        lambda: bundle.interpolate(x[0], x[1], 3, "sampler"),
        lambda: bundle.morph(x),
    ):
        with pytest.raises(BundleError, match=r"has no graph \w+, but .* its model sees features, of which no image"):
            ask()
    with pytest.raises(BundleError, match="is a model of features, and the page shows images"):
        require_shown(bundle)


def test_a_bundle_of_images_that_lacks_a_graph_is_none_of_features(lane):
    manifest = Bundle.load(lane.bundle).manifest
    graphs = {name: graph for name, graph in manifest.graphs.items() if name != "sample"}
    with pytest.raises(ValueError, match=r"graphs\.sample is missing"):
        dataclasses.replace(manifest, graphs=graphs)
