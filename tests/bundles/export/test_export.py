import json
import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from scipy import stats
from tests.lanes import edited, make_job, names_of_graphs

from vae_pipeline.bundles.export import parity
from vae_pipeline.bundles.export.proto import tidy
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.runtime.agreement import Units
from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.runtime.signatures import SIGNATURES
from vae_pipeline.stages.export import export
from vae_pipeline.system.errors import ParityError
from vae_pipeline.training.trained import Trained

NAMES = list(SIGNATURES)


@pytest.fixture(
    params=["lane", "conditional_lane", pytest.param("ladder_lane", marks=pytest.mark.slow)], scope="module"
)
def any_lane(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def manifest(any_lane):
    return json.loads((any_lane.bundle / "bundle.json").read_text())


PLAIN = {
    "Abs", "Add", "And", "ArgMax", "Cast", "Clip", "Concat", "ConstantOfShape", "Conv", "ConvTranspose", "Cos",
    "DepthToSpace", "Div", "Equal", "Exp", "Expand", "EyeLike", "Floor", "Gather", "GatherElements", "GatherND",
    "Gemm", "Greater", "GreaterOrEqual", "InstanceNormalization", "LayerNormalization", "Less", "LessOrEqual", "Log",
    "LogSoftmax", "MatMul", "Max", "Min", "Mul", "Neg", "Not", "Or", "Pad", "Pow", "Reciprocal", "ReduceLogSumExp",
    "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize", "Round", "Shape", "Sigmoid", "Sin", "Slice",
    "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where",
}  # fmt: skip
"""Operators that graphs of ours have; a new one has to be tried in all nine runtimes first."""


def unread(proto):
    """What a runtime may not read: operators that weren't tried, and reshapes that onnx2torch refuses."""
    return {n.op_type for n in proto.graph.node} - PLAIN | set(zeros_allowed(proto))


def zeros_allowed(proto):
    return [n.name for n in proto.graph.node if n.op_type == "Reshape" and any(a.i for a in n.attribute)]


def test_a_zero_that_is_meant_stays_one():
    shapes = {"meant": [0, 3], "not meant": [-1, 3]}
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["x", "meant"], ["empty"], allowzero=1),
            helper.make_node("Reshape", ["x", "not meant"], ["rows"], allowzero=1),
        ],
        "two",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("empty", "rows")],
        [numpy_helper.from_array(np.array(shape), name) for name, shape in shapes.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    tidy(model, "", {"vae.graph": "two"})
    assert [len(node.attribute) for node in model.graph.node] == [1, 0]
    empty, rows = ReferenceEvaluator(model).run(None, {"x": np.zeros((0, 3), np.float32)})
    assert empty.shape == rows.shape == (0, 3)


def test_every_runtime_reads_the_graphs_of_a_table_too(table_lane):
    found = {file.stem: unread(onnx.load(file)) for file in table_lane.bundle.glob("*.onnx")}
    assert found and not any(found.values()), found


@pytest.mark.parametrize("name", NAMES)
class TestGraph:
    @pytest.fixture
    def proto(self, name, any_lane):
        return onnx.load(any_lane.bundle / f"{name}.onnx")

    def test_it_is_valid_opset_18_in_one_file(self, proto, name):
        onnx.checker.check_model(proto, full_check=True)
        assert [entry.version for entry in proto.opset_import if entry.domain == ""] == [18]
        assert not any(initializer.external_data for initializer in proto.graph.initializer)

    def test_noise_is_an_input(self, proto, name):
        assert not [node.op_type for node in proto.graph.node if "Random" in node.op_type]
        assert ("noise" in [value.name for value in proto.graph.input]) == (name in ("score", "sample"))

    def test_batch_is_the_one_dynamic_axis(self, proto, name):
        for value in [*proto.graph.input, *proto.graph.output]:
            first, *rest = value.type.tensor_type.shape.dim
            assert first.dim_param == "batch"
            assert all(side.dim_value > 0 for side in rest)

    def test_no_runtime_must_know_a_default_value(self, proto, name):
        """tract takes the type of a ConstantOfShape without a value for float64, and OpenCV fails."""
        assert all(node.attribute for node in proto.graph.node if node.op_type == "ConstantOfShape")

    def test_every_runtime_reads_it(self, proto, name):
        assert unread(proto) == set()

    def test_it_says_what_it_is_and_nothing_of_the_machine(self, proto, name, manifest):
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        assert metadata["vae.graph"] == name
        assert metadata["vae.weights_sha256"] == manifest["weights_sha256"]
        assert proto.producer_name == "vae-pipeline"
        text = proto.SerializeToString()
        assert not re.search(rb"/(home|root|usr|work|tmp)/|\.py\b", text)

    def test_the_reference_evaluator_agrees_with_the_golden_answers(self, proto, name, any_lane, manifest):
        described = manifest["graphs"][name]
        with np.load(any_lane.bundle / described["golden"]) as golden:
            inputs = {key: golden[key] for key in described["inputs"]}
            wanted = [golden[key] for key in described["outputs"]]
        for given, answer in zip(
            ReferenceEvaluator(proto).run(list(described["outputs"]), inputs), wanted, strict=True
        ):
            np.testing.assert_allclose(given, answer, rtol=1e-4, atol=1e-4)

    def test_a_batch_is_its_rows(self, proto, name, any_lane, manifest):
        described = manifest["graphs"][name]
        session = onnxruntime.InferenceSession(any_lane.bundle / described["file"])
        with np.load(any_lane.bundle / described["golden"]) as golden:
            inputs = {key: golden[key] for key in described["inputs"]}
        together = session.run(
            None, {key: np.tile(value, (7,) + (1,) * (value.ndim - 1)) for key, value in inputs.items()}
        )
        alone = session.run(None, {key: value[1:2] for key, value in inputs.items()})
        for whole, row in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[1::3][:7], np.repeat(row, 7, axis=0), rtol=1e-5, atol=1e-5)


def test_the_bundle_describes_its_graphs(manifest, any_lane):
    assert list(manifest["graphs"]) == names_of_graphs(any_lane)
    assert manifest["graphs"]["encoder"]["inputs"]["x"] == {"dtype": "uint8", "shape": ["batch", 1, 12, 12]}
    assert manifest["conditional"] == ("label" in manifest["graphs"]["decoder"]["inputs"])
    trained = Trained.load(any_lane.model)
    assert manifest["weights_sha256"] == trained.weights_sha256


def test_parity_holds_at_three_batch_sizes(any_lane):
    written = json.loads((any_lane.bundle / "parity.json").read_text())
    wanted = {(graph, batch) for graph in names_of_graphs(any_lane) for batch in (1, 3, 64)}
    assert {(row["graph"], row["batch"]) for row in written["agreement"]} == wanted
    assert max(row["relative"] for row in written["agreement"]) <= written["tolerance"] == 1e-4


@pytest.mark.slow
def test_exporting_again_gives_the_same_bytes(lane, smoke, tmp_path, wide):
    export(make_job("smoke", smoke, tmp_path), lane.data, lane.model, lane.report, tmp_path / "again")
    for file in lane.bundle.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


@pytest.mark.slow
def test_over_the_tolerance_nothing_is_exported(lane, smoke, tmp_path):
    strict = edited(smoke, export={"tolerance": 1e-12})
    out = tmp_path / "bundle"
    out.mkdir()
    (out / "spec.json").write_text("kept")
    with pytest.raises(
        ParityError, match=r"the graph \w+ differs from the model by .* at batch \d+ .*over export\.tolerance"
    ):
        export(make_job("smoke", strict, tmp_path), lane.data, lane.model, lane.report, out)
    assert [file.name for file in out.iterdir()] == ["spec.json"]


def test_a_wrong_graph_is_found(lane):
    """Parity compares with the model's own answers: one altered weight shows."""
    proto = onnx.load(lane.bundle / "decoder.onnx")
    bias = next(i for i in proto.graph.initializer if i.name.endswith("output.bias"))
    altered = onnx.numpy_helper.to_array(bias).copy()
    altered[5] += 0.01  # a logit: at most 0.0025 on [0, 1]
    bias.CopyFrom(onnx.numpy_helper.from_array(altered, bias.name))
    file = lane.bundle.parent / "altered.onnx"
    onnx.save(proto, file)
    model = Trained.load(lane.model).model.eval()
    z = torch.zeros(2, 2)
    with torch.inference_mode():
        wanted = {"x_mean": model.scaling.inverse(model.decode(z).mean).numpy()}
    rows = parity.compare("decoder", parity.run(file, {"z": z.numpy()}, wanted), wanted, units(255))
    with pytest.raises(ParityError, match="decoder"):
        parity.require(rows, 1e-4)


def test_the_card_tells_what_was_measured(lane):
    card = (lane.bundle / "MODEL_CARD.md").read_text()
    metrics = json.loads((lane.report / "metrics.json").read_text())
    assert f"| ELBO (nats) | {metrics['elbo']:.4g} ±" in card
    assert f"{metrics['importance_bound']:.4g}" in card
    told = f"{metrics['mutual_information']:.4g} | cap, log N {metrics['mutual_information_cap']:.4g}; rate"
    assert f"| Mutual information (nats) | {told}" in card
    assert "cross-entropy" in card
    assert "Trying the pipeline out." in card


def units(high, shape=(1, 8, 8), score=None):
    return Units(ImageSpec(shape, "uint8", 0, high, False, ()), score)


def test_rounding_is_told_from_error_where_a_log_density_cancels():
    """float32 sums of terms of either sign, as those of a Gaussian; one term in a thousand left out is no rounding."""
    terms = np.random.default_rng(0).normal(0, 3, (64, 3 * 96 * 96)).astype(np.float32)
    terms[:, -1] -= terms.sum(1)  # each comes to next to nothing
    exact, rounded = terms.astype(np.float64).sum(1), np.cumsum(terms, 1)[:, -1]
    short = rounded + np.abs(terms[:, ::1000]).sum(1)
    measured = {"negative_elbo": exact, "score": exact}
    wide = units(255, (3, 96, 96), "importance_bound")
    parity.require(parity.compare("detect", dict.fromkeys(measured, rounded), measured, wide), 1e-5)
    for name in measured:
        with pytest.raises(ParityError, match=rf"in {name} at batch 64 .*set export\.tolerance over"):
            parity.require(parity.compare("detect", {name: short}, {name: exact}, wide), 1e-4)
    of_ranks = units(255, (3, 96, 96), "rank_ensemble")
    ranks = parity.compare("detect", {"score": exact + 0.01}, {"score": exact}, of_ranks)
    assert ranks[0].relative == pytest.approx(0.01, rel=0.1)  # a share is held to 1


def test_contributions_are_sums_of_terms_where_columns_are_left_out(table_lane):
    manifest = Manifest.load(table_lane.bundle)
    assert manifest.detection.contributions == "left_out"
    assert Units.of_manifest(manifest).of("contributions") == manifest.spec.dimensions
    assert units(255, score="negative_elbo").of("contributions") == 1


def test_parity_of_pixels_does_not_depend_on_their_units(lane):
    """The same error, on data of 0..1 and of 0..255, is the same figure."""
    z = {"z": np.zeros((3, 2), np.float32)}
    answer = parity.run(lane.bundle / "decoder.onnx", z, ["x_mean"])["x_mean"]
    wide = parity.compare("decoder", {"x_mean": answer}, {"x_mean": answer + 0.255}, units(255))[0]
    assert wide.difference == pytest.approx(0.255, rel=1e-3)
    assert wide.relative == pytest.approx((0.255 / (255 + answer + 0.255)).max(), rel=1e-3)


def test_flips_are_the_pairs_that_change_order():
    wanted = np.array([1.0, 2.0, 3.0, 4.0, 4.0])
    given = np.array([1.0, 3.5, 3.0, 2.9, 4.0])
    order = parity.ranking(given, wanted)
    assert order.flips == 2 + 1  # 2 passes 3 and 4, 3 passes 4; a tie that parts isn't one
    assert order.nats == pytest.approx(1.5)
    assert order.rank_correlation == pytest.approx(stats.spearmanr(given, wanted).statistic)
    assert parity.ranking(wanted, wanted) == parity.Ranking(5, 0.0, pytest.approx(1.0), 0)


def test_the_bundle_says_that_scores_keep_their_order(any_lane):
    scores = json.loads((any_lane.bundle / "parity.json").read_text())["scores"]
    assert scores["examples"] == 64
    assert scores["flips"] == 0
    assert scores["rank_correlation"] == pytest.approx(1.0, abs=1e-9)
    assert scores["nats"] < 1e-2
    assert "of their pairs 0 change order" in (any_lane.bundle / "MODEL_CARD.md").read_text()


def test_the_report_page_tells_of_parity(any_lane):
    """Evaluation's page, with a section more that has parity.json's own figures."""
    page = (any_lane.bundle / "report.html").read_text(encoding="utf-8")
    evaluated = (any_lane.report / "index.html").read_text(encoding="utf-8")
    link = '\n<li><a href="#what-was-exported">What was exported</a></li>'
    start, end = page.index('<section id="what-was-exported">'), page.index("</main>")
    assert (page[:start] + page[end:]).replace(link, "", 1) == evaluated
    written = json.loads((any_lane.bundle / "parity.json").read_text())
    found = re.findall(
        r'<th scope="row">(\w+)</th><td><data value="([^"]*)">.*?</td><td>(\w+), batch of (\d+)<', page[start:]
    )
    assert [graph for graph, *_ in found] == names_of_graphs(any_lane)
    for graph, difference, output, batch in found:
        of_graph = [row for row in written["agreement"] if row["graph"] == graph]
        worst = max(of_graph, key=lambda row: row["relative"])
        assert float(difference) == worst["relative"]
        assert {"graph": graph, "batch": int(batch), "output": output}.items() <= worst.items()
    assert f'<data value="{written["scores"]["nats"]!r}">' in page[start:]
    assert re.search(r">Pairs in another order</th><td><data value=\"0\">0</data> of 2,016<", page[start:])
