"""Noise of N(0, 1) from a seed and an index, by float32 arithmetic in which every ONNX runtime agrees.

Whole numbers below 2^24 are exact in float32, and so are their sums and products as long as these stay below it. A
network of Feistel's form on four words of 12 bits needs no others: each seed makes it another permutation of all
(index, dimension). Only the logarithm and the cosine at the end may differ from runtime to runtime, in the last digits.

Source: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011, for counters in place of a state; Box and
Muller, A Note on the Generation of Random Normal Deviates, 1958.
"""

import math

import torch
from torch import Tensor

LIMIT = 2**24
"""Seeds and indices are whole numbers below this."""
WORD, ROUNDS = 4096.0, 16
# Odd, of 12 bits: digits of multiples of the golden ratio, which lie far apart.
ODD = [float(int(WORD * math.modf((1 + turn) * (math.sqrt(5) - 1) / 2)[0]) | 1) for turn in range(3 * ROUNDS)]


def normal_noise(seed: Tensor, index: Tensor, width: int) -> Tensor:
    """Noise [batch, width] of N(0, 1): the row of an index depends on its seed and on nothing else.

    `seed` and `index` are whole numbers [batch], float32, from 0 to 2^24 - 1.
    """
    assert width < WORD
    dimension = torch.arange(width, dtype=torch.float32, device=seed.device)[None]
    same = torch.zeros_like(dimension)
    keys = (_low(seed)[:, None], torch.floor(seed / WORD)[:, None])
    words = [torch.floor(index / WORD)[:, None] + same, _low(index)[:, None] + same, dimension, same]
    for turn in range(ROUNDS):
        first, second, third = ODD[turn], ODD[turn + ROUNDS], ODD[turn + 2 * ROUNDS]
        a, b = _low(words[1] + keys[turn % 2] + first), _low(words[3] + second)
        mixed = torch.floor(a * b / 64) + torch.floor(a * first / 64) + torch.floor(b * third / 64)
        words = [words[1], words[2], words[3], _low(words[0] + words[2] + mixed)]
    radius = torch.sqrt(-2 * torch.log((words[0] * WORD + words[1] + 1) / LIMIT))
    angle = (words[2] * WORD + words[3]) * (2 * math.pi / LIMIT)
    return radius * torch.cos(angle)


def _low(value: Tensor) -> Tensor:
    """The lowest 12 bits."""
    return value - WORD * torch.floor(value / WORD)
