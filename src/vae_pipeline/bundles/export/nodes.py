"""Nodes that are written by hand, with the constants that they share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Nodes:
    """The nodes that take the place of one node of a graph, in their order."""

    def __init__(self, name: str, graph: onnx.GraphProto) -> None:
        """All their names begin with `name`; constants are added to `graph`."""
        self.nodes: list[onnx.NodeProto] = []
        self.name, self.graph = name, graph

    def constant(self, value: float | Sequence[int]) -> str:
        """The name of a constant: whole numbers are indices, of int64."""
        name = f"{self.name}.constant.{value}"
        if all(each.name != name for each in self.graph.initializer):
            array = np.array(value, np.float32 if isinstance(value, float) else np.int64)
            self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        """Add a node and give the name of its output: `to` of the one whose output the replaced node had."""
        name = f"{self.name}.{len(self.nodes) if to is None else 'outputs'}"
        self.nodes.append(helper.make_node(kind, list(inputs), [to or name], name, **attributes))
        return to or name
