"""The runtimes that Python reaches, each as a function of a graph's file, and the program that asks them.

    python -m vae_pipeline.bundles.conformance.python_runtimes RUNTIME FOLDER

It runs in a process of its own, since a runtime may take its process down. Each computes in float32 on one thread.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import numpy as np

from vae_pipeline.bundles.conformance.exchange import pack, unpack, write_answer
from vae_pipeline.bundles.conformance.runtimes import Runtime
from vae_pipeline.bundles.export.parity import Arrays

Run = Callable[[Arrays], Arrays]


@dataclass(frozen=True)
class GraphFile:
    """A graph to run."""

    file: Path
    inputs: dict[str, Any]
    """Inputs with their types and shapes, as in bundle.json."""
    outputs: list[str]


def onnxruntime(graph: GraphFile) -> Run:
    """Microsoft's onnxruntime, on the CPU."""
    import onnxruntime as library

    options = library.SessionOptions()
    options.intra_op_num_threads = 1
    session = library.InferenceSession(graph.file, options, providers=["CPUExecutionProvider"])
    return lambda x: dict(zip(graph.outputs, session.run(graph.outputs, x), strict=True))


def reference(graph: GraphFile) -> Run:
    """onnx's own evaluator, written for clarity in numpy."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(graph.file))
    return lambda x: dict(zip(graph.outputs, evaluator.run(graph.outputs, x), strict=True))


def openvino(graph: GraphFile) -> Run:
    """Intel's OpenVINO, on the CPU; some CPUs would compute in bfloat16 unless told."""
    import openvino as library

    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = library.Core().compile_model(str(graph.file), "CPU", options).create_infer_request()

    def run(x: Arrays) -> Arrays:
        answers = request.infer(x)
        return {name: answers[name] for name in graph.outputs}

    return run


def opencv(graph: GraphFile) -> Run:
    """OpenCV's dnn."""
    import cv2

    cv2.setNumThreads(1)
    net = cv2.dnn.readNetFromONNX(str(graph.file))

    def run(x: Arrays) -> Arrays:
        for name, value in x.items():
            net.setInput(value, name)
        return dict(zip(graph.outputs, net.forward(graph.outputs), strict=True))

    return run


def tract(graph: GraphFile) -> Run:
    """Sonos' tract; its outputs are known by their order, for their names are those of nodes."""
    import tract as library

    model = library.onnx().load(graph.file)
    for index, described in enumerate(graph.inputs.values()):
        dtype = np.dtype(described["dtype"])
        sides = [*map(str, described["shape"]), f"{dtype.kind}{8 * dtype.itemsize}"]
        model.set_input_fact(index, ",".join(sides))
    runnable = model.into_model().into_runnable()
    return lambda x: dict(
        zip(graph.outputs, [answer.to_numpy() for answer in runnable.run(list(x.values()))], strict=True)
    )


def mnn(graph: GraphFile) -> Run:
    """Alibaba's MNN, by its native converter: the converter's Python door installs packages and reports its use."""
    import _tools
    import MNN

    converted = graph.file.with_suffix(".mnn").name
    _tools.mnnconvert(["", "-f", "ONNX", "--modelFile", str(graph.file), "--MNNModel", converted, "--bizCode", "vae"])
    manager = MNN.nn.create_runtime_manager(({"backend": "CPU", "numThread": 1, "precision": "high"},))
    manager.set_hint(3, 0)  # WINOGRAD_MEMORY_LEVEL: larger tiles cost 3 x 3 convolutions half of float32's digits
    net = MNN.nn.load_module_from_file(converted, list(graph.inputs), graph.outputs, runtime_manager=manager)
    kinds = {"float32": MNN.expr.float, "uint8": MNN.expr.uint8, "int32": MNN.expr.int}

    def variable(value: Any) -> Any:
        if value.dtype == np.int64:  # which the converter has made int32
            value = value.astype(np.int32)
        held = MNN.expr.placeholder(list(value.shape), MNN.expr.NCHW, kinds[str(value.dtype)])
        held.write(np.ascontiguousarray(value))
        return held

    def run(x: Arrays) -> Arrays:
        answers = net.onForward([variable(value) for value in x.values()])
        # Answers of convolutions are packed by fours of channels.
        return {
            name: MNN.expr.convert(answer, MNN.expr.NCHW).read().copy()
            for name, answer in zip(graph.outputs, answers, strict=True)
        }

    return run


def opened(runtime: Runtime, graph: GraphFile) -> Run:
    """The graph, ready to be asked."""
    match runtime:
        case Runtime.ONNXRUNTIME:
            return onnxruntime(graph)
        case Runtime.REFERENCE:
            return reference(graph)
        case Runtime.OPENVINO:
            return openvino(graph)
        case Runtime.OPENCV:
            return opencv(graph)
        case Runtime.TRACT:
            return tract(graph)
        case Runtime.MNN:
            return mnn(graph)
        case Runtime.ONNXRUNTIME_NODE | Runtime.ONNXRUNTIME_WEB | Runtime.CHROMIUM:
            raise AssertionError("reached by JavaScript")
        case _:
            assert_never(runtime)


def answer(runtime: Runtime, bundle: Path, task: dict[str, Any]) -> dict[str, Any]:
    """Run one graph at all its cases."""
    try:
        run = opened(runtime, GraphFile(bundle / task["file"], task["inputs"], task["outputs"]))
        cases = [unpack(case) for case in task["cases"]]
        outputs = [pack(run(case)) for case in cases]
        return {"outputs": outputs, "latency_ms": median_ms(lambda: run(cases[0]))}
    except Exception as error:  # whatever a runtime raises is its answer
        return {"error": f"{type(error).__name__}: {error}"}


def median_ms(run: Callable[[], object]) -> float:
    """Median time of a call in milliseconds, over 300 calls or half a second."""
    took: list[float] = []
    began = time.perf_counter()
    while len(took) < 300 and (len(took) < 5 or time.perf_counter() - began < 0.5):
        before = time.perf_counter()
        run()
        took.append(1e3 * (time.perf_counter() - before))
    return statistics.median(took)


def main(runtime: Runtime, folder: Path) -> None:
    """Answer all tasks of an exchange's folder."""
    exchange = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    for task in exchange["tasks"]:
        write_answer(folder, task["graph"], answer(runtime, Path(exchange["bundle"]), task))


if __name__ == "__main__":
    main(Runtime(sys.argv[1]), Path(sys.argv[2]))
