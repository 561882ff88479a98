"""Where a graph's networks lie: its matrix products and convolutions by stored weights, and what is between them.

What comes before the first (scaling, noise) and after the last (the likelihood, the rate, sums of hundreds of nats)
is no network, and stays float32 in every variant.
"""

import onnx

KINDS = ("MatMul", "Gemm", "Conv", "ConvTranspose")


def products(graph: onnx.GraphProto) -> list[int]:
    """The places in `graph.node` of the products by stored weights."""
    weights = {weight.name for weight in graph.initializer}
    return [
        place
        for place, node in enumerate(graph.node)
        if node.op_type in KINDS and not weights.isdisjoint(node.input[:2])
    ]


def networks(graph: onnx.GraphProto) -> set[int]:
    """The places in `graph.node` of the products, and of all on a way from one of them to another."""
    found = products(graph)
    after, following = set(found), {name for place in found for name in graph.node[place].output}
    for place, node in enumerate(graph.node):
        if not following.isdisjoint(node.input):
            after.add(place)
            following.update(node.output)
    before, leading = set(found), {name for place in found for name in graph.node[place].input}
    for place, node in reversed(list(enumerate(graph.node))):
        if not leading.isdisjoint(node.output):
            before.add(place)
            leading.update(node.input)
    return after & before
