"""Changes that every graph of a bundle gets, wherever it comes from; they need onnx, and no torch."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnx.compose

from vae_pipeline.system.version import __version__

OPSET = 18  # the newest that every runtime tried can read


def preceded(
    first: onnx.ModelProto, second: onnx.ModelProto, about: str, metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """`second` with its inputs that `first` gives taken from there; checked in full."""
    given = {value.name for value in second.graph.input}
    joined = [(value.name, value.name) for value in first.graph.output if value.name in given]
    apart, rest = (  # an edge of one may be called as an input of the other
        onnx.compose.add_prefix(model, f"{model.graph.name}.", rename_inputs=False, rename_outputs=False)
        for model in (first, second)
    )
    apart.ir_version = second.ir_version
    model = onnx.compose.merge_models(apart, rest, joined)
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    tidy(model, about, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def tidy(model: onnx.ModelProto, about: str, metadata: Mapping[str, str]) -> None:
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
    _without_allowzero(graph)
    model.producer_name, model.producer_version = "vae-pipeline", __version__
    model.doc_string = about
    model.graph.name = metadata["vae.graph"]
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(sorted(metadata.items())))
    random = {node.op_type for node in graph.node if node.op_type.startswith("Random")}
    assert not random, f"noise is an input, but the graph draws its own: {random}"


def _without_allowzero(graph: onnx.GraphProto) -> None:
    """torch's exporter sets `allowzero` wherever it reshapes, and several readers refuse it.

    It is kept where a shape has a zero that is meant. A batch that isn't known yet is none.
    """
    shapes = [each for each in graph.initializer if each.data_type == onnx.TensorProto.INT64]
    zeros = {each.name for each in shapes if not onnx.numpy_helper.to_array(each).all()}
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] not in zeros:
            del node.attribute[:]  # it has no other
