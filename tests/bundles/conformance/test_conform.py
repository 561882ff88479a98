import json
import sys
from importlib import metadata

import numpy as np
import onnx
import pytest
import torch
from tests.lanes import ROOT, names_of_graphs
from typer.testing import CliRunner

from vae_pipeline.bundles.conformance import conform as module
from vae_pipeline.bundles.conformance import installed, javascript, processes
from vae_pipeline.bundles.conformance.compare import judge, within
from vae_pipeline.bundles.conformance.conform import ask, conform
from vae_pipeline.bundles.conformance.exchange import pack, read_answer, tasks_of, unpack, write_answer
from vae_pipeline.bundles.conformance.processes import answer_by
from vae_pipeline.bundles.conformance.runtimes import Runtime
from vae_pipeline.bundles.export.onnx import to_onnx
from vae_pipeline.bundles.export.parity import Agreement
from vae_pipeline.cli.main import app
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.models.likelihoods.discretised import Discretised, LaplaceTail, NormalTail
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.agreement import Units
from vae_pipeline.runtime.signatures import ROWS, SIGNATURES
from vae_pipeline.system.errors import ConformanceError, MissingError

NAMES = list(SIGNATURES)
UNITS = Units(ImageSpec((1, 12, 12), "uint8", 0, 255, False, ()), "negative_elbo")
INSTALLED = [Runtime.ONNXRUNTIME, Runtime.REFERENCE]


@pytest.fixture(scope="module")
def tasks(lane):
    return tasks_of(Bundle.load(lane.bundle))


def invoke(*arguments):
    """The command's output; what it raises is raised."""
    result = CliRunner().invoke(app, ["conform", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def golden_host(tasks, off=0.0):
    """A runtime that knows the answers, but for `off`."""

    def host(exchange):
        for task in tasks:
            outputs = [pack({name: value + np.float32(off) for name, value in case.items()}) for case in task.wanted]
            write_answer(exchange, task.graph, {"outputs": outputs, "latency_ms": 1.0})

    return host


class TestInstalled:
    @pytest.mark.parametrize("runtime", INSTALLED)
    @pytest.mark.parametrize("which", ["lane", "conditional_lane"])
    def test_every_graph_works_in(self, which, runtime, request, tmp_path):
        lane = request.getfixturevalue(which)
        rows = list(conform(lane.bundle, [runtime], tmp_path))
        wanted = [(name, "works", "") for name in names_of_graphs(lane)]
        assert [(row.graph, row.outcome, row.reason) for row in rows] == wanted
        assert all(row.difference < 1e-5 and row.latency_ms > 0 for row in rows)
        assert [row.graph for row in rows if row.nats is not None] == ["score", "detect"]

    def test_the_command_prints_and_writes_a_table(self, lane, tmp_path):
        printed = invoke(lane.bundle, "--runtime", "reference", "--runtime", "onnxruntime", "-o", tmp_path / "t.json")
        assert printed.count("works") == 2 * len(NAMES)
        written = json.loads((tmp_path / "t.json").read_text())
        assert list(written["versions"]) == ["reference", "onnxruntime"]
        assert written["versions"]["onnxruntime"] == metadata.version("onnxruntime")
        assert written["weights_sha256"] == json.loads((lane.bundle / "bundle.json").read_text())["weights_sha256"]
        assert [(row["runtime"], row["graph"]) for row in written["rows"][: len(NAMES)]] == [
            ("reference", name) for name in NAMES
        ]


class TestComparison:
    def test_batches_of_one_and_five_are_rows_of_the_golden_answers(self, tasks, lane):
        score = next(task for task in tasks if task.graph == "score")
        with np.load(lane.bundle / "score.npz") as golden:
            np.testing.assert_array_equal(score.inputs[1]["noise"][3:], golden["noise"][:2])
            np.testing.assert_array_equal(score.wanted[0]["rate"], golden["rate"][:1])
        assert [len(case["x"]) for case in score.inputs] == [1, 5]

    def test_the_golden_answers_themselves_are_right(self, tasks, lane):
        rows = [
            judge(Runtime.TRACT, task, answer, UNITS) for task, answer in ask(golden_host(tasks), lane.bundle, tasks)
        ]
        assert {(row.outcome, row.difference) for row in rows} == {("works", 0.0)}

    def test_a_runtime_that_is_off_by_a_thousandth_is_caught(self, tasks, lane, monkeypatch):
        monkeypatch.setattr(module, "host", lambda *given: golden_host(tasks, off=1e-3)(given[-1]))
        monkeypatch.setattr(module, "missing", lambda _: None)
        with pytest.raises(
            ConformanceError, match=r"of 7 answers .* encoder in tract, which differs: \w+ by 0\.001 at"
        ):
            invoke(lane.bundle, "--runtime", "tract")

    @pytest.mark.parametrize(
        ("output", "difference", "relative", "right"),
        [
            ("mean", 1.0, 0.9e-4, True),
            ("x_mean", 1e-4, 1.1e-4, False),
            ("rate", 0.9e-3, 1e-2, True),
            ("negative_elbo", 2e-3, 0.9e-5, True),
            ("negative_elbo", 2e-3, 1.1e-5, False),
        ],
    )
    def test_nats_are_held_to_a_thousandth_or_to_their_sum(self, output, difference, relative, right):
        assert within(Agreement("graph", 1, output, difference, relative)) == right

    @pytest.mark.parametrize(
        ("alter", "reason"),
        [
            (lambda value: value[:1], "mean has shape (1, 2) at batch 5; wanted (5, 2)"),
            (lambda value: value * np.float32(np.nan), "the largest difference in mean at batch 1 is nan"),
        ],
    )
    def test_another_shape_or_nan_has_its_reason(self, alter, reason, tasks):
        encoder = tasks[0]
        outputs = [pack({name: alter(value) for name, value in case.items()}) for case in encoder.wanted]
        row = judge(Runtime.TRACT, encoder, {"outputs": outputs, "latency_ms": 1.0}, UNITS)
        assert row.outcome == "fails"
        assert row.reason == reason


def test_a_tensor_survives_the_exchange_to_the_last_bit():
    drawn = np.random.default_rng(0).standard_normal(1000).astype(np.float32) * np.float32(1e-20)
    arrays = {
        "drawn": drawn.reshape(10, 100),
        "edges": np.array([np.finfo(np.float32).tiny, -0.0, np.nan], np.float32),
        "label": np.array([2**53 - 1, 0], np.int64),
        "x": np.arange(6, dtype=np.uint8).reshape(1, 2, 3),
    }
    back = unpack(json.loads(json.dumps(pack(arrays), allow_nan=False)))
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


class TestBadPrograms:
    def test_one_that_dies_takes_one_graph_with_it(self, tasks, lane):
        """It aborts at every graph, as a native library may."""
        started = []

        def host(exchange):
            started.append([task["graph"] for task in json.loads((exchange / "tasks.json").read_text())["tasks"]])
            program = "import os, sys; print('free(): invalid pointer', file=sys.stderr, flush=True); os.abort()"
            return answer_by([sys.executable, "-c", program], exchange, {})

        answers = list(ask(host, lane.bundle, tasks))
        assert started == [NAMES[index:] for index in range(len(NAMES))]
        assert {answer["error"] for _, answer in answers} == {"its process died of SIGABRT: free(): invalid pointer"}

    def test_what_a_runtime_raises_is_the_reason(self, tasks, lane, tmp_path):
        broken = tmp_path / "bundle"
        broken.mkdir()
        for task in tasks:
            (broken / task.file).write_bytes(b"no graph")
        answers = ask(lambda exchange: module.host(Runtime.ONNXRUNTIME, tmp_path, exchange), broken, tasks)
        rows = [judge(Runtime.ONNXRUNTIME, task, answer, UNITS) for task, answer in answers]
        assert [(row.graph, row.outcome) for row in rows] == [(name, "fails") for name in NAMES]
        assert all("InvalidProtobuf" in row.reason and "\n" not in row.reason for row in rows)

    def test_one_that_says_nothing_is_ended(self, tmp_path, monkeypatch):
        monkeypatch.setattr(processes, "LIMIT_S", 0.2)
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        assert answer_by(command, tmp_path, {}) == "no answer within 0.2 s"
        assert read_answer(tmp_path, "encoder") is None


class TestMissing:
    @pytest.fixture(autouse=True)
    def _nothing_installed(self, monkeypatch):
        def version(name):
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(installed.metadata, "version", version)
        monkeypatch.setattr(installed.shutil, "which", lambda _: None)

    def test_one_that_was_asked_for_is_one_clear_line(self, lane):
        with pytest.raises(MissingError) as caught:
            invoke(lane.bundle, "--runtime", "openvino", "--runtime", "onnxruntime-web")
        assert str(caught.value) == (
            "openvino isn't installed: pip install 'vae-pipeline[openvino]'; "
            "onnxruntime-web isn't installed: install Node.js with npm"
        )
        assert caught.value.exit_code == 2

    def test_the_others_are_rows(self, lane):
        printed = invoke(lane.bundle)
        assert [line for line in printed.splitlines() if ": " in line] == [
            f"{runtime} not installed: {installed.missing(runtime)}" for runtime in Runtime
        ]

    def test_npm_that_fails_is_said(self, tmp_path, monkeypatch):
        monkeypatch.setattr(javascript.subprocess, "run", _npm_without_a_network)
        with pytest.raises(MissingError, match=r"npm can't install onnxruntime-node@.*: npm error network refused"):
            javascript.fetch(tmp_path)
        assert list((tmp_path / "node").iterdir()) == []


def _npm_without_a_network(command, **_):
    return javascript.subprocess.CompletedProcess(
        command, 1, "", "npm warn x\nnpm error network refused\nnpm error y\n"
    )


@pytest.mark.runtimes
@pytest.mark.parametrize("runtime", Runtime)
@pytest.mark.parametrize("which", ["lane", "conditional_lane", "ladder_lane", "table_lane"])
def test_every_runtime_reads_every_graph(which, runtime, request):
    """Each must be installed: `make test-runtimes` sees to it. npm's packages stay in the repository's cache."""
    lane = request.getfixturevalue(which)
    rows = list(conform(lane.bundle, [runtime], ROOT / ".vae"))
    names = [*NAMES, *ROWS] if which == "table_lane" else names_of_graphs(lane)
    assert {(row.graph, row.outcome, row.reason) for row in rows} == {(name, "works", "") for name in names}
    assert len(rows) == len(names)
    if which == "table_lane":  # one seed gives one table everywhere, to float32 where numbers have no step
        assert all(row.difference < 1e-6 for row in rows if row.graph in ROWS)


class Masses(torch.nn.Module):
    """log P of each of 256 levels, of a rounded variable."""

    def __init__(self, tail):
        super().__init__()
        self.tail = tail

    def forward(self, loc, log_scale, value):
        return Discretised(self.tail, loc, log_scale.exp(), 256, 1).log_prob_by_element(value)


@pytest.mark.runtimes
@pytest.mark.parametrize("tail", [NormalTail(), LaplaceTail()])
def test_opencv_gives_each_level_its_mass_however_far_it_lies(tail, tmp_path):
    """Its Tanh is no number of arguments from 44 to 88."""
    import cv2

    drawn = torch.rand(3, 5, 4000, generator=torch.Generator().manual_seed(0))
    inputs = {"loc": 1.4 * drawn[0] - 0.2, "log_scale": 6 * drawn[1] - 6.5, "value": (255 * drawn[2]).round() / 255}
    proto = to_onnx(Masses(tail), inputs, ["y"], "masses", {"vae.graph": "masses"})
    onnx.save(proto, tmp_path / "masses.onnx")
    net = cv2.dnn.readNetFromONNX(str(tmp_path / "masses.onnx"))
    for name, values in inputs.items():
        net.setInput(values.numpy(), name)
    np.testing.assert_allclose(net.forward(), Masses(tail)(**inputs).numpy(), rtol=1e-5, atol=1e-5)
