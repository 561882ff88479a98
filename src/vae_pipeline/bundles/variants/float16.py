"""float16: the networks' weights and arithmetic; inputs, outputs and all that is no network keep their types.

onnxruntime's own converter takes a list of nodes to leave alone, but rounds what passes between two of them, and the
graph's inputs and outputs too: a seed above 2048 or a score of 300 nats would lose its last digits.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vae_pipeline.bundles.variants.products import networks

ARGUMENTS = {"Resize": 1}
"""The inputs, from the first on, that are values; the others of such a node are sizes, which are float32 always."""


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its networks in float16, between casts."""
    model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph
    typed = (*graph.input, *graph.output, *graph.value_info)
    floats = {value.name for value in typed if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    weights = {weight.name: weight for weight in graph.initializer}
    floats |= {name for name, weight in weights.items() if weight.data_type == TensorProto.FLOAT}
    inside = networks(graph)
    outside = [node for place, node in enumerate(graph.node) if place not in inside]
    wanted = {value.name for value in graph.output} | {name for node in outside for name in node.input}
    halves: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []

    def half(name: str) -> str:
        if name not in halves:
            halves[name] = f"{name}.float16"
            if name in weights:
                graph.initializer.append(_rounded(weights[name], halves[name]))
            else:
                nodes.append(helper.make_node("Cast", [name], [halves[name]], to=TensorProto.FLOAT16))
        return halves[name]

    for place, node in enumerate(graph.node):
        rounded = [at for at, name in enumerate(node.input[: ARGUMENTS.get(node.op_type)]) if name in floats]
        if place not in inside or not rounded:
            nodes.append(node)
            continue
        for at in rounded:
            node.input[at] = half(node.input[at])
        nodes.append(node)
        for at, name in enumerate(node.output):
            if name in floats:
                node.output[at] = halves[name] = f"{name}.float16"
                if name in wanted:
                    nodes.append(helper.make_node("Cast", [halves[name]], [name], to=TensorProto.FLOAT))
    used = {name for node in nodes for name in node.input}
    stored = [weight for weight in graph.initializer if weight.name in used]
    mixed = helper.make_graph(nodes, graph.name, graph.input, graph.output, stored)
    return onnx.shape_inference.infer_shapes(
        helper.make_model(mixed, ir_version=model.ir_version, opset_imports=model.opset_import)
    )


def _rounded(weight: onnx.TensorProto, name: str) -> onnx.TensorProto:
    with np.errstate(over="ignore"):  # what comes of infinity is refused where answers are compared
        return numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), name)
