"""Every posterior, prior, sampler and recurrent net as ONNX: fresh weights, the model's own answers."""

import numpy as np
import onnx
import pytest
import torch
from scipy.optimize import brentq
from tests.bundles.export.test_export import unread
from tests.contracts.test_models import batch, make
from tests.lanes import edited
from tests.models.test_columns import model as table_model
from tests.models.test_counts import ROWS as COUNTED_ROWS
from tests.models.test_counts import SPEC as COUNTED
from tests.models.test_counts import likelihood as counting
from tests.models.test_flow_matching import shaken

from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.bundle import Provenance, write_bundle
from vae_pipeline.bundles.export.graph import example_inputs
from vae_pipeline.bundles.export.graphs import SCORE, STEPWISE, graphs_of
from vae_pipeline.kinds.spec import ImageSpec, TextSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.kinds.text.tokens import padded
from vae_pipeline.metrics.detection import calibrated
from vae_pipeline.models.build import build
from vae_pipeline.models.likelihoods.student_t import StudentT, StudentTLikelihood
from vae_pipeline.models.samplers import ClassesSampler, FlowSampler, MixtureSampler
from vae_pipeline.recipe.model import Model
from vae_pipeline.runtime.agreement import Units
from vae_pipeline.system.errors import ExportError

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
    "by_class": lambda: ClassesSampler(torch.randn(2, 3), torch.randn(2, 3, 3).tril()),
    "flow": lambda: FlowSampler(3, 2, 8),
    "flow_matching": lambda: shaken((3,)),
}
ASKED = [
    ("normalised", "normal", "mixture", ("encoder", "score", "detect", "decoder", "sample")),
    ("full", "normal", "flow", ("encoder", "score", "detect", "decoder", "sample", "base")),
    ("full", "mixture", "prior", ("score", "detect", "decoder", "sample")),
    ("flow", "mixture", "prior", ("encoder", "decoder", "reconstruct", "score", "detect")),
    ("gaussian", "vamp", "prior", ("score", "detect", "decoder", "sample")),
    ("gaussian", "normal", "flow_matching", ("decoder", "sample", "base")),
]
LABELS = torch.tensor([0, 1, 1, 0, 1])


LIKELIHOODS = [
    ({"kind": "gaussian", "scale": "learned_per_channel", "mean": "linear"}, ()),
    ({"kind": "laplace", "scale": "per_element", "mean": "sigmoid"}, ()),
    ({"kind": "student_t", "scale": "learned", "mean": "linear", "degrees": "learned"}, ("detect",)),
    ({"kind": "discretised_laplace", "scale": "learned", "mean": "linear"}, ("detect",)),
    ({"kind": "discretised_gaussian", "scale": "per_element", "mean": "sigmoid"}, ("detect",)),
    ({"kind": "discretised_logistic", "components": 2}, ("draw",)),
    ({"kind": "categorical"}, ()),
]
"""Of images, beside the Bernoulli above; with graphs that are asked for beside `decoder` and `score`."""


@pytest.mark.parametrize(("posterior", "prior", "sampler", "asked"), ASKED)
def test_its_graphs_are_the_model(posterior, prior, sampler, asked, smoke, prepared, tmp_path):
    recipe = edited(smoke, model={"posterior": POSTERIORS[posterior], "prior": PRIORS[prior]})
    are_the_model(recipe, sampler, asked, prepared, tmp_path)


def test_its_graphs_are_the_conditional_model(smoke, prepared, tmp_path):
    recipe = edited(smoke, model={"conditional": True, "posterior": POSTERIORS["full"]})
    asked = ("decoder", "sample", "generate", "draw", "sample_drawn")
    are_the_model(recipe, "by_class", asked, prepared, tmp_path, LABELS)


@pytest.mark.parametrize(("likelihood", "more"), LIKELIHOODS, ids=[row["kind"] for row, _ in LIKELIHOODS])
def test_the_graphs_of_a_likelihood_are_the_model(likelihood, more, smoke, prepared, tmp_path):
    recipe = edited(smoke, model={"likelihood": likelihood})
    are_the_model(recipe, "prior", ("decoder", "score", *more), prepared, tmp_path)


def are_the_model(recipe, sampler, asked, prepared, tmp_path, labels=None):
    torch.manual_seed(0)
    model = build(recipe.model, prepared.spec).eval()
    model.sampler = SAMPLERS[sampler]()
    x = torch.from_numpy(prepared.test.x[:5])
    detector = calibrated(model, recipe.detection, prepared.train, prepared.valid, torch.device("cpu"))
    graphs = {graph.name: graph for graph in graphs_of(model, detector, None, "whole")}
    assert ("base" in graphs) == ("base" in asked)
    made = {}
    for graph in graphs.values():
        if graph.name in asked:
            is_the_model(graph, model, x, Units(prepared.spec, detector.kind), tmp_path, made, labels)


def is_the_model(graph, model, x, units, tmp_path, made=None, labels=None):
    """`made` has the graphs that this one may be put together from."""
    metadata = {"vae.graph": graph.name}
    made = {} if made is None else made
    proto = graph.proto(
        model.frozen().eval(),
        example_inputs(graph, model, x[:2], None if labels is None else labels[:2], 0),
        made,
        metadata,
    )
    made[graph.name] = proto
    assert unread(proto) == set()
    file = tmp_path / f"{graph.name}.onnx"
    file.write_bytes(proto.SerializeToString())
    inputs = example_inputs(graph, model, x, labels, 1)
    wanted = {name: tensor.numpy() for name, tensor in graph.answers(model, inputs).items()}
    found = parity.run(file, {name: tensor.numpy() for name, tensor in inputs.items()}, wanted)
    parity.require(parity.compare(graph.name, found, wanted, units), 1e-5)
    assert np.ptp(next(iter(wanted.values()))) > 0


def test_the_graph_of_heavy_numbers_and_of_counts_is_the_model(tmp_path):
    torch.manual_seed(0)
    families = counting("zero_inflated_negative_binomial", True, numbers="student_t", missing="modelled")
    model, x = build(table_model(likelihood=families), COUNTED).eval(), COUNTED_ROWS.nan_to_num(3.0)
    is_the_model(SCORE, model, x, Units(COUNTED, None), tmp_path)


class ByGammaFunctions(StudentT):
    def log_prob(self, value):
        half, away = 0.5 * self.degrees, (value - self.location) / self.scale
        constant = torch.lgamma(half + 0.5) - torch.lgamma(half) - 0.5 * (torch.pi * self.degrees).log()
        return constant - self.scale.log() - (half + 0.5) * (away.square() / self.degrees).log1p()


def torchs(*parameters):
    return torch.distributions.StudentT(*parameters, validate_args=False)


class Untraceable(StudentTLikelihood):
    def __init__(self, family):
        super().__init__((1, 8, 8), 1.0, "linear", "learned")
        self.family = family

    def real(self, mean, scale):
        return self.family(self.degrees, mean, scale)


@pytest.mark.parametrize(
    ("family", "said"),
    [
        (ByGammaFunctions, r"score can't be exported.*lgamma"),
        (torchs, r"score .*test_families.py, line \d+, in torchs.*data-dependent"),  # it looks at its arguments
    ],
)
def test_what_has_no_graph_is_said_in_one_line(family, said, capfd):
    model = make("dense", "dense", "student_t_learned", False, (1, 8, 8)).eval()
    model.likelihood = Untraceable(family).eval()
    inputs = example_inputs(SCORE, model, batch((1, 8, 8))[0], None, 0)
    with pytest.raises(ExportError, match=said) as error:
        SCORE.proto(model, inputs, {}, {"vae.graph": "score"})
    assert "\n" not in str(error.value) and "".join(capfd.readouterr()) == ""


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
    rows, order = write_bundle(built, spec, None, [], test, {"failed_gates": []}, origin, 0, tmp_path)
    parity.require(rows, 1e-5)
    assert not set().union(*(unread(onnx.load(file)) for file in tmp_path.glob("*.onnx")))
    assert {row.graph for row in rows} == {graph.name for graph in STEPWISE} and order.flips == 0
    with np.load(tmp_path / "greedy.npz") as golden:
        assert len(np.unique(golden["tokens"])) >= 2


def test_a_colour_image_of_96_pixels_whose_log_density_cancels_is_exported(smoke, tmp_path):
    """27,648 terms that come to next to nothing: held to 1 nat, rounding alone would refuse the graph."""
    net = {"kind": "convolution", "channels": [8, 8], "activation": "silu"}
    spec = ImageSpec((3, 96, 96), "uint8", 0, 255, False, ())
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 64, (64, *spec.shape)).astype(np.uint8))

    def built(scale):
        likelihood = {"kind": "gaussian", "scale": scale, "mean": "linear"}
        torch.manual_seed(0)
        recipe = edited(smoke, model={"encoder": net, "decoder": net, "likelihood": likelihood})
        model = build(recipe.model, spec).eval()
        with torch.no_grad():
            for weight in model.decoder.parameters():
                weight.mul_(0.1)  # means of next to nothing, and so near the dim images
        return model

    with torch.no_grad():
        error = (built(1.0)(images).likelihood.mean - images / 255).square().mean().item()
    density = lambda scale: 0.5 * error / scale**2 + np.log(scale) + 0.5 * np.log(2 * np.pi)  # noqa: E731
    model = built(brentq(density, np.sqrt(error), 1.0))
    inputs = example_inputs(SCORE, model, images, None, 0)
    proto = SCORE.proto(model, inputs, {}, {"vae.graph": "score"})
    file = tmp_path / "score.onnx"
    file.write_bytes(proto.SerializeToString())
    wanted = {name: tensor.numpy() for name, tensor in SCORE.answers(model, inputs).items()}
    found = parity.run(file, {name: tensor.numpy() for name, tensor in inputs.items()}, wanted)
    rows = parity.compare("score", found, wanted, Units(spec, None))
    parity.require(rows, 1e-5)
    away = np.abs(found["negative_elbo"] - wanted["negative_elbo"])
    assert (away / (1 + np.abs(wanted["negative_elbo"]))).max() > 1e-4
