"""A graph's networks: its matrix products and convolutions by stored weights, and what is between them.

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
    return set(found) | (following(graph, found) & leading(graph, found))


def following(graph: onnx.GraphProto, places: list[int]) -> set[int]:
    """The places of all that needs what the nodes at `places` give."""
    given = {name for place in places for name in graph.node[place].output}
    found = set()
    for place, node in enumerate(graph.node):
        if not given.isdisjoint(node.input):
            found.add(place)
            given.update(node.output)
    return found


def leading(graph: onnx.GraphProto, places: list[int]) -> set[int]:
    """The places of all that gives what the nodes at `places` need."""
    needed = {name for place in places for name in graph.node[place].input}
    found = set()
    for place, node in reversed(list(enumerate(graph.node))):
        if not needed.isdisjoint(node.output):
            found.add(place)
            needed.update(node.input)
    return found
