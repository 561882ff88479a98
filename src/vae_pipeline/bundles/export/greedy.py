"""The greedy loop as one graph: `initial`, then `step` after `step` up to the limit, each given the likeliest token.

Written out, as recurrences are: not every runtime reads a Loop. Steps behind a sentence's end are taken for nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from vae_pipeline.bundles.export.proto import OPSET, tidy
from vae_pipeline.kinds.text.spec import END, START
from vae_pipeline.models.vocabulary import FIRST

CONSTANTS: dict[str, npt.NDArray[Any]] = {
    "axis": np.array([1], np.int64),
    "none": np.array(0, np.int32),
    "one": np.array(1, np.int32),
    "start": np.array(START, np.int32),
    "end": np.array(END, np.int32),
    "first": np.array(FIRST, np.int32),
}


def greedy_graph(
    initial: onnx.ModelProto, step: onnx.ModelProto, limit: int, about: str, metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """`z` [batch, latents] -> `tokens` [batch, limit]: ids, the end, padding; checked in full."""
    written = _Written()
    add, whole = written.add, {"to": TensorProto.INT32}
    state = written.graph(initial.graph, "initial", {})["state"]
    none = add("Mul", add("Cast", add("ArgMax", "z", axis=1, keepdims=0), **whole), "none")  # a row each
    token, going = add("Add", none, "start"), add("Add", none, "one")
    tokens = []
    for place in range(limit - 1):
        after = written.graph(step.graph, f"step.{place}", {"token": token, "state": state})
        state, likeliest = after["next_state"], add("ArgMax", after["log_probability"], axis=1, keepdims=0)
        token = add("Mul", add("Add", add("Cast", likeliest, **whole), "first"), going)  # padding is 0
        going = add("Sub", going, add("Cast", add("Equal", token, "end"), **whole))
        tokens.append(add("Unsqueeze", token, "axis"))
    tokens.append(add("Unsqueeze", add("Mul", going, "end"), "axis"))  # at the limit it ends for sure
    written.nodes.append(helper.make_node("Concat", tokens, ["tokens"], "tokens", axis=1))

    found = helper.make_tensor_value_info("tokens", TensorProto.INT32, ["batch", limit])
    graph = helper.make_graph(written.nodes, "greedy", initial.graph.input, [found], [*written.tensors.values()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=initial.ir_version)
    tidy(model, about, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Written:
    """Nodes, and the constants and weights that they share."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors = {name: numpy_helper.from_array(value, name) for name, value in CONSTANTS.items()}

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def graph(self, graph: onnx.GraphProto, prefix: str, given: Mapping[str, str]) -> dict[str, str]:
        """A graph's nodes once more, with inputs from elsewhere; what each of its edges is called here."""
        names = dict(given)
        for tensor in graph.initializer:
            names[tensor.name] = f"{graph.name}.{tensor.name}"
            if names[tensor.name] not in self.tensors:
                weight = onnx.TensorProto()
                weight.CopyFrom(tensor)
                weight.name = names[tensor.name]
                self.tensors[weight.name] = weight
        for node in graph.node:
            names |= {name: f"{prefix}.{name}" for name in node.output}
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{prefix}.{node.name}"
            copy.input[:] = [names.get(name, name) for name in node.input]
            copy.output[:] = [names[name] for name in node.output]
            self.nodes.append(copy)
        return names
