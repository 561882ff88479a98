"""Adam with decoupled weight decay, straight on torch's fused kernel.

torch.optim.AdamW calls the same kernel, and a test holds the two equal bit for bit. But its constructor imports
torch's compiler, which takes 2 s of CPU, and each of its steps sorts the parameters anew.

Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, algorithm 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8


@dataclass(frozen=True)
class _Group:
    """Parameters that decay alike, with the moments of their gradients."""

    parameters: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    count: Tensor
    """Steps made."""
    decay: float


class AdamW:
    """The weights of layers decay; biases, norms, learned scales, means and pseudo-inputs don't.

    Parameters that are frozen (`requires_grad` is False) stay as they are.
    """

    def __init__(self, model: nn.Module, weight_decay: float) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        if weight_decay:
            layers = {id(p) for name, p in model.named_parameters() if name.endswith("weight") and p.ndim > 1}
            decaying = [p for p in self.parameters if id(p) in layers]
            others = [p for p in self.parameters if id(p) not in layers]
            self._groups = [_group(decaying, weight_decay), _group(others, 0.0)]
        else:
            self._groups = [_group(self.parameters, 0.0)]

    @torch.no_grad()
    def step(self, rate: Tensor, skipped: Tensor | None = None) -> None:
        """Move every parameter against its gradient; `rate` is a single number on the CPU or the device.

        Where `skipped`, on the device, is 1 and not 0, nothing changes: the step is as none.
        """
        for group in self._groups:
            group.count.add_(1 if skipped is None else 1 - skipped)
            torch._fused_adamw_(
                group.parameters, [_gradient(p) for p in group.parameters], group.means, group.squares,
                [], [group.count] * len(group.parameters),
                lr=rate, beta1=BETAS[0], beta2=BETAS[1], weight_decay=group.decay, eps=EPSILON,
                amsgrad=False, maximize=False, found_inf=skipped,
            )  # fmt: skip

    def state(self) -> list[Tensor]:
        """Every tensor that a resumed run needs, in a fixed order; to be copied into."""
        return [tensor for group in self._groups for tensor in (*group.means, *group.squares, group.count)]


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None  # the loss depends on every parameter
    return parameter.grad


def _group(parameters: Sequence[Tensor], decay: float) -> _Group:
    return _Group(
        list(parameters),
        [torch.zeros_like(p) for p in parameters],
        [torch.zeros_like(p) for p in parameters],
        torch.zeros((), device=parameters[0].device if parameters else None),
        decay,
    )
