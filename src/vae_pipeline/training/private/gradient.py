"""The sum of single rows' gradients, each clipped to a norm.

A row's gradient of a linear layer's weights is the outer product of its slope, that of the loss by the layer's output,
and the layer's input: its norm is the product of both norms, and no matrix a row is ever made. Gradients of the few
other parameters are made row by row.

Source: Goodfellow, Efficient Per-Example Gradient Computations, 2015.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from vae_pipeline.models.vae import VAE, Inference
from vae_pipeline.training.objectives import Objective
from vae_pipeline.training.rate_control import RateControl


class ClippedGradient:
    """Σ_i g_i min(1, clip / ‖g_i‖) over the rows i of a batch, g_i being the gradient of row i's loss.

    No row's loss may depend on another row (`recipe.privacy`).
    """

    def __init__(self, model: VAE, objective: Objective, control: RateControl, clip: float) -> None:
        self.model, self.objective, self.control, self.clip = model, objective, control, clip
        self.parameters = {name: each for name, each in model.named_parameters() if each.requires_grad}
        self.layers = {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear)}
        linear = {f"{name}.{kind}" for name in self.layers for kind in ("weight", "bias")}
        self.others = [name for name in self.parameters if name not in linear]

    def __call__(self, x: Tensor, noise: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The sum by parameter, as `parameters` has them; and sums of loss [], and of distortion and rate [2].

        `noise` of N(0, I) [batch, latents] is what z is drawn by.
        """
        if not len(x):
            nothing = noise.new_zeros(3)
            return {name: torch.zeros_like(each) for name, each in self.parameters.items()}, nothing[0], nothing[1:]
        with _watched(self.layers) as seen:
            inference = self.model.infer_by(x, noise)
        loss = self._loss(inference) * len(x)
        slopes = dict(zip(seen, torch.autograd.grad(loss, [output for _, output in seen.values()]), strict=True))
        with torch.no_grad():
            terms = torch.stack([inference.distortion().sum(), inference.rate().sum()])
            return self._sum(seen, slopes, self._of_others(x, noise)), loss.detach(), terms

    def _loss(self, inference: Inference) -> Tensor:
        return self.objective(inference, self.control)

    def _sum(
        self, seen: Mapping[str, tuple[Tensor, Tensor]], slopes: Mapping[str, Tensor], others: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        squares = [each.flatten(1).square().sum(1) for each in others.values()]
        pairs = {name: (_rows(slopes[name]), _rows(given)) for name, (given, _) in seen.items()}
        for name, (slope, given) in pairs.items():
            bias = self.layers[name].bias is not None
            squares.append(slope.square().sum(1) * (given.square().sum(1) + bias))
        factors = (self.clip / torch.stack(squares).sum(0).sqrt()).clamp_max(1)  # of a gradient of nothing 1
        total = {name: (factors @ each.flatten(1)).view(each.shape[1:]) for name, each in others.items()}
        for name, (slope, given) in pairs.items():
            clipped = factors[:, None] * slope
            total[f"{name}.weight"] = clipped.T @ given
            if self.layers[name].bias is not None:
                total[f"{name}.bias"] = clipped.sum(0)
        return total

    def _of_others(self, x: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """The gradients of parameters of no linear layer, [batch, *shape]."""
        if not self.others:
            return {}
        whole = _Inferred(self.model)
        held = {f"model.{name}": self.parameters[name].detach() for name in self.others}

        def loss(parameters: dict[str, Tensor], x: Tensor, noise: Tensor) -> Tensor:
            return self._loss(functional_call(whole, parameters, (x[None], noise[None])))

        found = vmap(grad(loss), in_dims=(None, 0, 0))(held, x, noise)
        return {name.removeprefix("model."): each for name, each in found.items()}


class _Inferred(nn.Module):
    """A model that is called with the noise of its latents."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, noise: Tensor) -> Inference:
        return self.model.infer_by(x, noise)


@contextmanager
def _watched(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """A block in which each layer is called once, with a row for each row of the batch; its inputs and outputs."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str, given: Tensor, output: Tensor) -> None:
        assert name not in seen  # its gradient would be a sum of two
        seen[name] = (given.detach(), output)

    hooks = [
        layer.register_forward_hook(lambda _, given, output, name=name: keep(name, given[0], output))
        for name, layer in layers.items()
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
    assert seen.keys() == layers.keys()


def _rows(values: Tensor) -> Tensor:
    """[samples = 1, batch, numbers], or [batch, numbers], as the latter."""
    return values.flatten(0, -2)
