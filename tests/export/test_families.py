"""Every posterior, prior, sampler and recurrent net as ONNX: fresh weights, the model's own answers."""

import numpy as np
import pytest
import torch
from tests.lanes import edited

from vae_pipeline.data.store import Split
from vae_pipeline.export import parity
from vae_pipeline.export.bundle import Provenance, write_bundle
from vae_pipeline.export.graphs import DETECT, GRAPHS, STEPWISE, answers, example_inputs
from vae_pipeline.export.onnx import to_onnx
from vae_pipeline.metrics.detection import calibrated
from vae_pipeline.models.build import build
from vae_pipeline.models.samplers import FlowSampler, MixtureSampler
from vae_pipeline.recipe.model import Model
from vae_pipeline.spec import TextSpec
from vae_pipeline.spec.tokens import padded

pytestmark = pytest.mark.slow

POSTERIORS = {
    "gaussian": {"kind": "gaussian", "latents": 3},
    "normalised": {"kind": "normalised_gaussian", "latents": 3, "spread": 0.7},
    "full": {"kind": "full_gaussian", "latents": 3},
    "flow": {"kind": "coupling_flow", "latents": 3, "layers": 2, "width": 8},
}
PRIORS = {
    "normal": {"kind": "standard_normal"},
    "mixture": {"kind": "mixture", "components": 4},
    "vamp": {"kind": "vamp", "components": 4},
}
SAMPLERS = {
    "prior": lambda: None,
    "mixture": lambda: MixtureSampler(torch.tensor([0.3, 0.7]), torch.randn(2, 3), torch.eye(3).repeat(2, 1, 1)),
    "flow": lambda: FlowSampler(3, 2, 8),
}
ASKED = [
    ("normalised", "normal", "mixture", ("encoder", "score", "sample")),
    ("full", "normal", "flow", ("encoder", "score", "sample")),
    ("full", "mixture", "prior", ("score", "sample")),
    ("flow", "mixture", "prior", ("encoder", "reconstruct", "score")),
    ("gaussian", "vamp", "prior", ("score", "sample")),
]


DISCRETISED = [
    {"kind": "discretised_laplace", "scale": "learned", "mean": "linear"},
    {"kind": "discretised_gaussian", "scale": "per_element", "mean": "sigmoid"},
]


@pytest.mark.parametrize(("posterior", "prior", "sampler", "asked"), ASKED)
def test_its_graphs_are_the_model(posterior, prior, sampler, asked, smoke, prepared, tmp_path):
    recipe = edited(smoke, model={"posterior": POSTERIORS[posterior], "prior": PRIORS[prior]})
    are_the_model(recipe, sampler, asked, prepared, tmp_path)


@pytest.mark.parametrize("likelihood", DISCRETISED, ids=lambda likelihood: likelihood["kind"])
def test_the_graphs_of_a_discretised_likelihood_are_the_model(likelihood, smoke, prepared, tmp_path):
    recipe = edited(smoke, model={"likelihood": likelihood})
    are_the_model(recipe, "prior", ("decoder", "score"), prepared, tmp_path)


def are_the_model(recipe, sampler, asked, prepared, tmp_path):
    torch.manual_seed(0)
    model = build(recipe.model, prepared.spec).eval()
    model.sampler = SAMPLERS[sampler]()
    exported = model.frozen().eval()
    images = torch.from_numpy(prepared.test.images[:5])
    detector = calibrated(model, recipe.detection, prepared.train, prepared.valid, torch.device("cpu"))
    for graph in (*GRAPHS, DETECT):
        if graph.name not in (*asked, "detect"):
            continue
        inputs = example_inputs(graph, model, images[:2], None, 0)
        module = graph.module(exported) if graph.module else detector.frozen().eval()
        proto = to_onnx(module, inputs, graph.outputs, graph.about, {"vae.graph": graph.name})
        file = tmp_path / f"{graph.name}.onnx"
        file.write_bytes(proto.SerializeToString())
        inputs = example_inputs(graph, model, images, None, 1)
        wanted = {name: tensor.numpy() for name, tensor in answers(graph, model, detector, inputs).items()}
        found = parity.run(file, {name: tensor.numpy() for name, tensor in inputs.items()}, wanted)
        rows = parity.compare(graph.name, found, wanted, 255)
        parity.require(rows, 1e-5)
        assert np.ptp(next(iter(wanted.values()))) > 0


RECURRENT = {
    "lstm, both ways, adaptive": (
        {"cell": "lstm", "bidirectional": True},
        {"cell": "lstm", "latents": "used"},
        {"kind": "adaptive", "cutoffs": [5, 8]},
    ),
    "gru, tied, cut": (
        {"cell": "gru", "bidirectional": False},
        {"cell": "gru", "latents": "cut"},
        {"kind": "full", "tied": True},
    ),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_the_graphs_of_recurrent_nets_are_the_model(name, tmp_path):
    encoder, decoder, output = RECURRENT[name]
    net = {"kind": "recurrent", "embedding": 6, "width": 6}
    model = {
        "encoder": net | encoder,
        "posterior": {"kind": "gaussian", "latents": 3},
        "prior": {"kind": "mixture", "components": 2},
        "decoder": net | {"dropout": 0.3, "word_dropout": 0.3} | decoder,
        "likelihood": {"kind": "autoregressive", "output": output},
        "conditional": False,
    }
    random, spec = np.random.default_rng(0), TextSpec(9, 12, {})
    test = Split(padded([random.integers(3, 12, length).tolist() for length in (1, 3, 5, 8, 8)], spec.limit), None)
    torch.manual_seed(0)
    built = build(Model.model_validate(model), spec)
    for weight in built.parameters():  # larger than at the start, so that each token depends on those before it
        torch.nn.init.normal_(weight)
    origin = Provenance("tiny", "", "", "", "prior", "none")
    rows, order = write_bundle(built, spec, None, test, {}, origin, 0, tmp_path)
    parity.require(rows, 1e-5)
    assert {row.graph for row in rows} == {graph.name for graph in STEPWISE} and order.flips == 0
    with np.load(tmp_path / "greedy.npz") as golden:
        assert len(np.unique(golden["tokens"])) >= 2
