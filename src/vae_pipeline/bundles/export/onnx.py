"""One module to one ONNX file: opset 18, weights inside, the same bytes for the same weights."""

import contextlib
import functools
import io
import logging
import warnings
from collections.abc import Iterator, Mapping

import onnx
import torch
from onnxscript.values import TracedOnnxFunction
from torch import Tensor, nn

from vae_pipeline.bundles.export.proto import OPSET, tidy
from vae_pipeline.bundles.export.recurrence import written_out


def to_onnx(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: tuple[str, ...],
    about: str,
    metadata: Mapping[str, str],
) -> onnx.ModelProto:
    """Export `module`, whose inputs all have a batch as their first axis; checked in full.

    Raises:
        onnx.checker.ValidationError: the graph isn't valid ONNX (a defect of ours).
    """
    _remember_signatures()
    batch = torch.export.Dim("batch")
    with _quiet():
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[f"output.{name}" for name in outputs],
            dynamic_shapes=tuple({0: batch} for _ in inputs),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    written_out(model)
    # A tensor within may bear an output's name already: torch calls what torch.mean gives `mean`.
    _rename(model.graph, {name: f"inner.{name}" for name in outputs})
    _rename(model.graph, {f"output.{name}": name for name in outputs})
    tidy(model, about, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def _remember_signatures() -> None:
    """Keep each operator's signature: the exporter would parse the source of all five hundred anew for each graph."""
    found = TracedOnnxFunction.function_ir
    if isinstance(found, property):
        kept = functools.cached_property(found.fget)
        kept.__set_name__(TracedOnnxFunction, "function_ir")
        TracedOnnxFunction.function_ir = kept


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks of its own progress, of torchvision and of deprecations inside torch."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
