"""Affine coupling layers: a bijection whose inverse and log-determinant are cheap.

Source: Dinh, Sohl-Dickstein and Bengio, Density Estimation Using Real NVP, 2017, eq. 4 and 5.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

MOST_LOG_SCALE = 2.0  # a layer stretches by e^2 at most


class CouplingFlow(nn.Module):
    """`layers` couplings in turn transform one half of the dimensions by what the other half, and a context, say."""

    def __init__(self, dimensions: int, layers: int, width: int, context: int = 0) -> None:
        super().__init__()
        first = dimensions // 2
        sides = [(first, dimensions - first), (dimensions - first, first)]
        self.layers = nn.ModuleList([_Coupling(*sides[index % 2], width, context) for index in range(layers)])
        self.split = first

    def forward(
        self, z: Float[Tensor, "*batch dimensions"], context: Float[Tensor, "*batch features"] | None = None
    ) -> tuple[Float[Tensor, "*batch dimensions"], Float[Tensor, "*batch"]]:
        """The image of `z`, and the log of the Jacobian's determinant."""
        halves = [z[..., : self.split], z[..., self.split :]]
        log_determinant = torch.zeros_like(z[..., 0])
        for index, layer in enumerate(self.layers):
            kept, changed = index % 2, 1 - index % 2
            log_scale, shift = layer(halves[kept], context)
            halves[changed] = halves[changed] * log_scale.exp() + shift
            log_determinant = log_determinant + log_scale.sum(-1)
        return torch.cat(halves, -1), log_determinant

    def inverse(
        self, z: Float[Tensor, "*batch dimensions"], context: Float[Tensor, "*batch features"] | None = None
    ) -> tuple[Float[Tensor, "*batch dimensions"], Float[Tensor, "*batch"]]:
        """The point that `forward` maps to `z`, and the log of the inverse's determinant."""
        halves = [z[..., : self.split], z[..., self.split :]]
        log_determinant = torch.zeros_like(z[..., 0])
        for index, layer in reversed(list(enumerate(self.layers))):
            kept, changed = index % 2, 1 - index % 2
            log_scale, shift = layer(halves[kept], context)
            halves[changed] = (halves[changed] - shift) * (-log_scale).exp()
            log_determinant = log_determinant - log_scale.sum(-1)
        return torch.cat(halves, -1), log_determinant


class _Coupling(nn.Module):
    """The log-scale and shift of one half, from the other half and the context; at first the identity."""

    def __init__(self, kept: int, changed: int, width: int, context: int) -> None:
        super().__init__()
        self.input = nn.Linear(kept, width)
        self.context = nn.Linear(context, width, bias=False) if context else None
        self.hidden = nn.Linear(width, width)
        self.output = nn.Linear(width, 2 * changed)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, half: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        hidden = self.input(half)
        if self.context is not None and context is not None:
            hidden = hidden + self.context(context)
        output = self.output(nn.functional.silu(self.hidden(nn.functional.silu(hidden))))
        log_scale, shift = output.chunk(2, -1)
        return MOST_LOG_SCALE * torch.tanh(log_scale / MOST_LOG_SCALE), shift
