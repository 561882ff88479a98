"""The steps of Griffin and Lim as plain ONNX, as `models.sound.griffin_lim` takes them."""

from typing import Any

import onnx

from vae_pipeline.bundles.export.nodes import Nodes
from vae_pipeline.models.sound.griffin_lim import CANCELLED, LEAST, MOMENTUM


def phased(node: onnx.NodeProto, name: str, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes of all steps."""
    magnitudes, phases, analysis, synthesis, weight = node.input
    told = {attribute.name: attribute.i for attribute in node.attribute}
    bins, frames, frame = (told[each] for each in ("bins", "frames", "frame"))
    window: dict[str, Any] = {"strides": [told["hop"]], "pads": [frame // 2] * 2, "kernel_shape": [frame]}
    nodes = Nodes(name, graph)
    add, constant = nodes.add, nodes.constant

    def waves() -> str:
        rows = add("Reshape", add("Mul", magnitudes, phases), constant([-1, 2 * bins, frames]))
        return add("Mul", add("ConvTranspose", rows, synthesis, **window), weight)

    magnitudes = add("Unsqueeze", magnitudes, constant([1]))
    part = add("Mul", magnitudes, constant(CANCELLED))
    least = add("Add", add("Mul", part, part), constant(LEAST))
    before = ""
    for _ in range(told["steps"]):
        rebuilt = add("Reshape", add("Conv", waves(), analysis, **window), constant([-1, 2, bins, frames]))
        led = add("Sub", rebuilt, add("Mul", before, constant(MOMENTUM / (1 + MOMENTUM)))) if before else rebuilt
        power = add("ReduceSum", add("Mul", led, led), constant([1]), keepdims=1)
        phases = add("Mul", led, add("Reciprocal", add("Sqrt", add("Add", power, least))))
        before = rebuilt
    cut = add("Slice", waves(), constant([0]), constant([told["length"]]), constant([2]))
    add("Squeeze", cut, constant([1]), to=node.output[0])
    return nodes.nodes
