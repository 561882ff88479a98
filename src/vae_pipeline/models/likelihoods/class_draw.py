"""Draws of a class by an even number, in operators that every runtime has and computes rightly."""

import torch
from jaxtyping import Float
from torch import Tensor


def drawn_class(share: Float[Tensor, "*axes"], even: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The class along the axis, one-hot, in whose part of [0, 1] the even number lies; and how near it is to another's.

    `share` are the classes' probabilities, and `even` has the other axes. The last class has what the others leave.
    """
    size = share.shape[axis]
    if size == 1:
        return torch.ones_like(share), torch.ones_like(even)
    # A product, as some runtimes have no cumulative sum; of a square, as OpenCV's triangle of any other is wrong.
    below = torch.ones(size, size, device=share.device).triu()[:, :-1]
    bounds = (share.movedim(axis, -1) @ below).movedim(-1, axis)
    away = even.unsqueeze(axis) - bounds
    over = (away >= 0).float()
    edge = torch.ones_like(even).unsqueeze(axis)
    return torch.cat([edge, over], axis) - torch.cat([over, 0 * edge], axis), away.abs().amin(axis)
