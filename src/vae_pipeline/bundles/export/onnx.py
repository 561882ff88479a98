"""One module to one ONNX file: opset 18, weights inside, the same bytes for the same weights."""

import contextlib
import functools
import inspect
import io
import logging
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxscript.values import TracedOnnxFunction
from torch import Tensor, nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

from vae_pipeline.bundles.export.proto import OPSET, tidy
from vae_pipeline.bundles.export.second_trace import skip_second_trace
from vae_pipeline.bundles.export.written_out import written_out
from vae_pipeline.system.errors import ExportError


def to_onnx(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: tuple[str, ...],
    about: str,
    metadata: Mapping[str, str],
    free: Mapping[str, Mapping[int, Any]] | None = None,
) -> onnx.ModelProto:
    """Export `module`, whose inputs all have a batch as their first axis; checked in full.

    `free` are other axes of inputs, by their names, that may be of any length.

    Raises:
        ExportError: the module does what torch's exporter can't follow, or what ONNX has no operator for.
        onnx.checker.ValidationError: the graph isn't valid ONNX (a defect of ours).
    """
    _remember_operators()
    skip_second_trace()
    batch = torch.export.Dim("batch")
    try:
        with _quiet():
            program = torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=[f"output.{name}" for name in outputs],
                dynamic_shapes=tuple({0: batch, **(free or {}).get(name, {})} for name in inputs),
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        cause, place = _found(error)
        raise ExportError(
            f"the graph {metadata['vae.graph']} can't be exported{place}: {cause}; write that part of the model in "
            "operators that ONNX has, with no branch and no number that depends on a tensor's values"
        ) from None
    assert program is not None
    model = program.model_proto
    written_out(model)
    # A tensor within may bear an output's name already: torch calls what torch.mean gives `mean`.
    _rename(model.graph, {name: f"inner.{name}" for name in outputs})
    _rename(model.graph, {f"output.{name}": name for name in outputs})
    tidy(model, about, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def _found(error: BaseException) -> tuple[str, str]:
    """The first cause of an error, in a line, and the line of a model that it came from, where that is known."""
    place, cause = "", error
    while True:
        for frame in traceback.extract_tb(cause.__traceback__):
            if not {"torch", "onnxscript"} & set(Path(frame.filename).parts) and frame.filename != __file__:
                place = f" ({Path(frame.filename).name}, line {frame.lineno}, in {frame.name})"
        if cause.__cause__ is None:
            return f"torch says {str(cause).splitlines()[0].strip()!r}", place
        cause = cause.__cause__


def _remember_operators() -> None:
    """Keep the table of operators, and the signature of each: the exporter would make them anew for each graph."""
    found = TracedOnnxFunction.function_ir
    if isinstance(found, property):
        kept = functools.cached_property(found.fget)
        kept.__set_name__(TracedOnnxFunction, "function_ir")
        TracedOnnxFunction.function_ir = kept
    if inspect.ismethod(ONNXRegistry.from_torchlib):
        made = functools.cache(ONNXRegistry.from_torchlib)
        ONNXRegistry.from_torchlib = staticmethod(made)  # type: ignore[method-assign]


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks of its own progress and of deprecations, and prints a graph that it can't follow."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        aside = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(aside), contextlib.redirect_stderr(aside):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
