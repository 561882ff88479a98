"""Noise of N(0, 1) from a seed and an index, by float32 arithmetic in which every ONNX runtime agrees.

Whole numbers below 2^24 are exact in float32, and so are their sums and products as long as these stay below it. A
network of Feistel's form on four words of 12 bits needs no others: each seed makes it another permutation of all
(index, dimension). Only the logarithm and the cosine at the end may differ from runtime to runtime, in the last digits.

Source: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011, for counters in place of a state; Box and
Muller, A Note on the Generation of Random Normal Deviates, 1958.
"""

import math
from collections.abc import Callable

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor

from vae_pipeline.runtime.inputs import SEEDS

WORD, ROUNDS = 4096.0, 16
# Odd, of 12 bits: digits of multiples of the golden ratio, which lie far apart.
ODD = [float(int(WORD * math.modf((1 + turn) * (math.sqrt(5) - 1) / 2)[0]) | 1) for turn in range(3 * ROUNDS)]


def normal_noise(seed: Tensor, index: Tensor, width: int) -> Tensor:
    """Noise [batch, width] of N(0, 1): the row of an index depends on its seed and on nothing else.

    `seed` and `index` are whole numbers [batch], float32, from 0 to 2^24 - 1.
    """
    words = _words(seed, index, 0, width)
    radius = torch.sqrt(-2 * torch.log((words[0] * WORD + words[1] + 1) / SEEDS))
    angle = (words[2] * WORD + words[3]) * (2 * math.pi / SEEDS)
    return radius * torch.cos(angle)


def even_noise(seed: Tensor, index: Tensor, first: int, width: int) -> Tensor:
    """Noise [batch, width] that is even in (0, 1), of the dimensions from `first` on, which no other noise is made of.

    It is of 23 bits, so that its half-way places are exact, and neither 0 nor 1 comes out.
    """
    words = _words(seed, index, first, width)
    return (words[0] * (WORD / 2) + torch.floor(words[1] / 2) + 0.5) / (SEEDS / 2)


def _words(seed: Tensor, index: Tensor, first: int, width: int) -> list[Tensor]:
    """Four words of 12 bits for each dimension."""
    dimension = torch.arange(first, first + width, dtype=torch.float32, device=seed.device)[None]
    same = torch.zeros_like(dimension)
    keys = (_low(seed)[:, None], torch.floor(seed / WORD)[:, None])
    words = [
        torch.floor(index / WORD)[:, None] + same,
        _low(index)[:, None] + same,
        dimension,
        torch.floor(dimension / WORD),
    ]
    for turn in range(ROUNDS):
        one, two, three = ODD[turn], ODD[turn + ROUNDS], ODD[turn + 2 * ROUNDS]
        a, b = _low(words[1] + keys[turn % 2] + one), _low(words[3] + two)
        mixed = torch.floor(a * b / 64) + torch.floor(a * one / 64) + torch.floor(b * three / 64)
        words = [words[1], words[2], words[3], _low(words[0] + words[2] + mixed)]
    return words


def _low(value: Tensor) -> Tensor:
    """The lowest 12 bits."""
    return value - WORD * torch.floor(value / WORD)


def noise_graph(width: int, opset: int, even: int = 0) -> onnx.ModelProto:
    """`normal_noise` as ONNX: `seed`, `index` [batch] -> `noise` [batch, width]; and `uniform` [batch, even], if any.

    Written node by node: torch's exporter takes longer for these few hundred than for the model that follows them.
    """
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, onnx.TensorProto] = {}

    def constant(value: float | np.ndarray) -> str:
        array = np.asarray(value, np.float32)
        name = f"constant.{array.ravel()[0]:g}.{array.size}"
        constants.setdefault(name, onnx.numpy_helper.from_array(array, name))
        return name

    def node(kind: str) -> Callable[..., str]:
        def add(*given: str | float, to: str | None = None) -> str:
            name = to or f"{kind}.{len(nodes)}"
            inputs = [each if isinstance(each, str) else constant(each) for each in given]
            nodes.append(helper.make_node(kind, inputs, [name]))
            return name

        return add

    add, sub, mul, floor = node("Add"), node("Sub"), node("Mul"), node("Floor")

    def part(value: str, size: float) -> str:
        return floor(mul(value, 1 / size))

    def low(value: str) -> str:
        return sub(value, mul(part(value, WORD), WORD))

    constants["axis"] = onnx.numpy_helper.from_array(np.array([1], np.int64), "axis")
    seed, index = (node("Unsqueeze")(name, "axis") for name in ("seed", "index"))
    keys: tuple[str, ...] = ()

    def drawn(first: int, count: int) -> list[str]:
        nonlocal keys
        dimension = constant(np.arange(first, first + count)[None])
        same = mul(dimension, 0.0)
        keys = keys or (low(seed), part(seed, WORD))
        above = same if first + count <= WORD else part(dimension, WORD)
        words = [add(part(index, WORD), same), add(low(index), same), dimension, above]
        for turn in range(ROUNDS):
            one, two, three = ODD[turn], ODD[turn + ROUNDS], ODD[turn + 2 * ROUNDS]
            a, b = low(add(add(words[1], keys[turn % 2]), one)), low(add(words[3], two))
            mixed = add(add(part(mul(a, b), 64), part(mul(a, one), 64)), part(mul(b, three), 64))
            words = [words[1], words[2], words[3], low(add(add(words[0], words[2]), mixed))]
        return words

    words = drawn(0, width)
    uniform = mul(add(add(mul(words[0], WORD), words[1]), 1.0), 1 / SEEDS)
    radius = node("Sqrt")(mul(node("Log")(uniform), -2.0))
    angle = mul(add(mul(words[2], WORD), words[3]), 2 * math.pi / SEEDS)
    mul(radius, node("Cos")(angle), to="noise")
    if even:
        words = drawn(width, even)
        mul(add(add(mul(words[0], WORD / 2), part(words[1], 2.0)), 0.5), 2 / SEEDS, to="uniform")

    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"]) for name in ("seed", "index")]
    widths = {"noise": width} | ({"uniform": even} if even else {})
    found = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", side]) for name, side in widths.items()]
    graph = helper.make_graph(nodes, "noise", given, found, list(constants.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
