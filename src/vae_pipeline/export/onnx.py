"""One module to one ONNX file: opset 18, weights inside, the same bytes for the same weights."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import onnx
import onnx.compose
import torch
from torch import Tensor, nn

from vae_pipeline import __version__

OPSET = 18  # the newest that every runtime tried can read


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
    # A tensor within may bear an output's name already: torch calls what torch.mean gives `mean`.
    _rename(model.graph, {name: f"inner.{name}" for name in outputs})
    _rename(model.graph, {f"output.{name}": name for name in outputs})
    _tidy(model, about, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def preceded(
    first: onnx.ModelProto, second: onnx.ModelProto, about: str, metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """`second` with its inputs that `first` gives taken from there; checked in full."""
    given = {value.name for value in second.graph.input}
    joined = [(value.name, value.name) for value in first.graph.output if value.name in given]
    apart = onnx.compose.add_prefix(first, f"{first.graph.name}.", rename_inputs=False, rename_outputs=False)
    apart.ir_version = second.ir_version
    model = onnx.compose.merge_models(apart, second, joined)
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    _tidy(model, about, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)


def _tidy(model: onnx.ModelProto, about: str, metadata: Mapping[str, str]) -> None:
    """Drop what the exporter noted of this machine (paths, source lines); say what the graph is."""
    graph = model.graph
    noted = [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for item in noted:
        del item.metadata_props[:]
        item.doc_string = ""
    for function in model.functions:
        for item in (function, *function.node):
            del item.metadata_props[:]
            item.doc_string = ""
    for node in graph.node:  # by default it is a float32 zero, but some runtimes want to be told
        if node.op_type == "ConstantOfShape" and not node.attribute:
            zero = onnx.numpy_helper.from_array(np.zeros(1, np.float32))
            node.attribute.append(onnx.helper.make_attribute("value", zero))
    model.producer_name, model.producer_version = "vae-pipeline", __version__
    model.doc_string = about
    model.graph.name = metadata["vae.graph"]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(sorted(metadata.items())))
    random = {node.op_type for node in graph.node if node.op_type.startswith("Random")}
    assert not random, f"noise is an input, but the graph draws its own: {random}"


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
