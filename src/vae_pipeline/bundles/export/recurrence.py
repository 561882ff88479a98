"""Recurrences as plain ONNX, step by step: operators that every runtime reads."""

import onnx

from vae_pipeline.bundles.export.nodes import Nodes


class Steps(Nodes):
    """The steps of one recurrence."""

    def __init__(self, node: onnx.NodeProto, name: str, graph: onnx.GraphProto) -> None:
        super().__init__(name, graph)
        told = {attribute.name: attribute.i for attribute in node.attribute}
        time, width = told["time"], told["width"]
        projected, state, weight, bias, *present = node.input
        self.edges = [self.constant([width * index]) for index in range(5)]
        self.axis = self.constant([1])
        turned = self.add("Transpose", weight, perm=[1, 0])
        parts = [self._part(state, 0), self._part(state, 1)] if told["lstm"] else [state]
        outputs = [""] * time
        for step in reversed(range(time)) if told["backward"] else range(time):
            place = self.constant(step)
            inputs = self.add("Gather", projected, place, axis=1)
            recurrent = self.add("Add", self.add("MatMul", parts[0], turned), bias)
            after = self._lstm(inputs, recurrent, parts[1]) if told["lstm"] else self._gru(inputs, recurrent, parts[0])
            if present:
                there = self.add("Unsqueeze", self.add("Gather", present[0], place, axis=1), self.axis)
                pairs = list(zip(parts, after, strict=True))
                after = [self.add("Add", old, self.add("Mul", there, self.add("Sub", new, old))) for old, new in pairs]
            parts = after
            outputs[step] = self.add("Unsqueeze", parts[0], self.axis)
        self.add("Concat", *outputs, to=node.output[0], axis=1)

    def _lstm(self, inputs: str, recurrent: str, memory: str) -> list[str]:
        add = self.add
        gates = add("Add", inputs, recurrent)
        enter, forget, new, leave = (self._part(gates, index) for index in range(4))
        kept = add("Mul", add("Sigmoid", forget), memory)
        memory = add("Add", kept, add("Mul", add("Sigmoid", enter), add("Tanh", new)))
        return [add("Mul", add("Sigmoid", leave), add("Tanh", memory)), memory]

    def _gru(self, inputs: str, recurrent: str, output: str) -> list[str]:
        add = self.add
        reset, keep, new = (self._part(inputs, index) for index in range(3))
        reset_by, keep_by, new_by = (self._part(recurrent, index) for index in range(3))
        reset = add("Sigmoid", add("Add", reset, reset_by))
        new = add("Tanh", add("Add", new, add("Mul", reset, new_by)))
        return [add("Add", new, add("Mul", add("Sigmoid", add("Add", keep, keep_by)), add("Sub", output, new)))]

    def _part(self, value: str, index: int) -> str:
        return self.add("Slice", value, self.edges[index], self.edges[index + 1], self.axis)
