"""Changes that every graph of a bundle gets, wherever it comes from; they need onnx, and no torch."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnx.compose
import onnx.utils

from vae_pipeline.system.version import __version__

OPSET = 18  # the newest that every runtime tried can read


def joined(
    first: onnx.ModelProto, second: onnx.ModelProto, edges: Mapping[str, str], about: str, metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """`second` after `first`, of whose outputs, the keys of `edges`, it takes its inputs; checked in full.

    Nodes of `first` that none of these outputs need are left out. An input that both take is one.
    """
    asked = [value.name for value in first.graph.input]
    before = onnx.utils.Extractor(first).extract_model(asked, list(edges))
    before.graph.name = first.graph.name
    outside = {*asked, *edges}
    inside = [value for value in before.graph.value_info if value.name not in outside]
    del before.graph.value_info[:]  # it lists inputs and outputs too, which would be renamed with all within
    before.graph.value_info.extend(inside)
    parts = [  # an edge of one may be called as an input of the other
        onnx.compose.add_prefix(each, f"{each.graph.name}.", rename_inputs=False, rename_outputs=False).graph
        for each in (before, second)
    ]
    given = {taken: output for output, taken in edges.items()}
    for node in parts[1].node:
        node.input[:] = [given.get(name, name) for name in node.input]
    inputs = {value.name: value for part in parts for value in part.input if value.name not in given}
    known = (*parts[0].value_info, *parts[0].output, *parts[1].value_info)
    graph = onnx.helper.make_graph(
        [node for part in parts for node in part.node],
        metadata["vae.graph"],
        list(inputs.values()),
        parts[1].output,
        [tensor for part in parts for tensor in part.initializer],
        value_info=[value for value in known if value.name not in inputs],
    )
    opset = onnx.helper.make_opsetid("", OPSET)
    model = onnx.helper.make_model(graph, ir_version=second.ir_version, opset_imports=[opset])
    tidy(model, about, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def unchanged(name: str, width: int) -> onnx.ModelProto:
    """A graph that gives the numbers that it takes."""
    value = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", width])
    return onnx.helper.make_model(onnx.helper.make_graph([], "unchanged", [value], [value]))


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
