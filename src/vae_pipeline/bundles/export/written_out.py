"""Nodes that stand for many steps, and the steps that take their place in a finished graph.

torch's exporter writes each as the single node that the model asks for: it would spend a tenth of a second on each of
their nodes, of which a recurrence has twenty a step and Griffin and Lim's algorithm twelve.
"""

import onnx

from vae_pipeline.bundles.export.griffin_lim import phased
from vae_pipeline.bundles.export.recurrence import Steps
from vae_pipeline.models.nets.recurrent import OPERATOR as RECURRENCE
from vae_pipeline.models.sound.griffin_lim import OPERATOR as GRIFFIN_LIM


def written_out(model: onnx.ModelProto) -> None:
    """Put the steps in the place of each node."""
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    for index, node in enumerate(graph.node):
        operator = f"{node.domain}::{node.op_type}"
        if operator == RECURRENCE:
            nodes += Steps(node, f"recurrence.{index}", graph).nodes
        elif operator == GRIFFIN_LIM:
            nodes += phased(node, f"phases.{index}", graph)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    kept = [each for each in model.opset_import if each.domain == ""]
    del model.opset_import[:]
    model.opset_import.extend(kept)
