"""Recurrences as plain ONNX, step by step: operators that every runtime reads.

torch's exporter writes each as the single node that `nets.recurrent` asks for, whose place the steps take once it is
done: it would spend a tenth of a second on each of their nodes, of which there are twenty a step.
"""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from vae_pipeline.models.nets.recurrent import OPERATOR

OWN = OPERATOR.partition("::")[0]


def written_out(model: onnx.ModelProto) -> None:
    """Put the steps in the place of each node."""
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    for index, node in enumerate(graph.node):
        nodes += _Steps(node, f"recurrence.{index}", graph).nodes if node.domain == OWN else [node]
    del graph.node[:]
    graph.node.extend(nodes)
    kept = [each for each in model.opset_import if each.domain == ""]
    del model.opset_import[:]
    model.opset_import.extend(kept)


class _Steps:
    """The steps of one recurrence."""

    def __init__(self, node: onnx.NodeProto, name: str, graph: onnx.GraphProto) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.name, self.graph = name, graph
        told = {attribute.name: attribute.i for attribute in node.attribute}
        time, width = told["time"], told["width"]
        projected, state, weight, bias, *present = node.input
        self.edges = [self.constant([width * index]) for index in range(5)]
        self.axis = self.constant([1])
        turned = self.add("Transpose", weight, perm=[1, 0])
        parts = [self.part(state, 0), self.part(state, 1)] if told["lstm"] else [state]
        outputs = [""] * time
        for step in reversed(range(time)) if told["backward"] else range(time):
            place = self.constant(step)
            inputs = self.add("Gather", projected, place, axis=1)
            recurrent = self.add("Add", self.add("MatMul", parts[0], turned), bias)
            after = self.lstm(inputs, recurrent, parts[1]) if told["lstm"] else self.gru(inputs, recurrent, parts[0])
            if present:
                there = self.add("Unsqueeze", self.add("Gather", present[0], place, axis=1), self.axis)
                pairs = list(zip(parts, after, strict=True))
                after = [self.add("Add", old, self.add("Mul", there, self.add("Sub", new, old))) for old, new in pairs]
            parts = after
            outputs[step] = self.add("Unsqueeze", parts[0], self.axis)
        self.nodes.append(helper.make_node("Concat", outputs, list(node.output), f"{name}.outputs", axis=1))

    def lstm(self, inputs: str, recurrent: str, memory: str) -> list[str]:
        add = self.add
        gates = add("Add", inputs, recurrent)
        enter, forget, new, leave = (self.part(gates, index) for index in range(4))
        kept = add("Mul", add("Sigmoid", forget), memory)
        memory = add("Add", kept, add("Mul", add("Sigmoid", enter), add("Tanh", new)))
        return [add("Mul", add("Sigmoid", leave), add("Tanh", memory)), memory]

    def gru(self, inputs: str, recurrent: str, output: str) -> list[str]:
        add = self.add
        reset, keep, new = (self.part(inputs, index) for index in range(3))
        reset_by, keep_by, new_by = (self.part(recurrent, index) for index in range(3))
        reset = add("Sigmoid", add("Add", reset, reset_by))
        new = add("Tanh", add("Add", new, add("Mul", reset, new_by)))
        return [add("Add", new, add("Mul", add("Sigmoid", add("Add", keep, keep_by)), add("Sub", output, new)))]

    def part(self, value: str, index: int) -> str:
        return self.add("Slice", value, self.edges[index], self.edges[index + 1], self.axis)

    def constant(self, value: int | list[int]) -> str:
        name = f"{self.name}.constant.{value}"
        if all(each.name != name for each in self.graph.initializer):
            self.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{self.name}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name
