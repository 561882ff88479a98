"""The sum of single rows' gradients, each clipped to a norm."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from vae_pipeline.models.vae import VAE
from vae_pipeline.training.objectives import Objective
from vae_pipeline.training.rate_control import RateControl

PIECE = 2**23
"""Numbers of the gradients that are held at once, at most: what fits a processor's cache is the fastest."""


class ClippedGradient:
    """Σ_i g_i min(1, clip / ‖g_i‖) over the rows i of a batch, g_i being the gradient of row i's loss."""

    def __init__(self, model: VAE, objective: Objective, control: RateControl, clip: float) -> None:
        self.loss, self.clip = _OfOne(model, objective, control), clip
        self.parameters = {name: each for name, each in self.loss.named_parameters() if each.requires_grad}
        self.piece = max(1, PIECE // sum(each.numel() for each in self.parameters.values()))

    def __call__(self, x: Tensor, noise: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The sum by parameter, as `parameters` has them; and sums of loss [], and of distortion and rate [2].

        `noise` of N(0, I) [batch, latents] is what z is drawn by.
        """
        held = {name: each.detach() for name, each in self.parameters.items()}
        of_each = vmap(grad_and_value(self._of_one, has_aux=True), in_dims=(None, 0, 0))
        total = {name: torch.zeros_like(each) for name, each in held.items()}
        loss, terms = x.new_zeros((), dtype=torch.float32), x.new_zeros(2, dtype=torch.float32)
        for some, drawn in zip(x.split(self.piece), noise.split(self.piece), strict=True) if len(x) else ():
            gradients, (losses, parts) = of_each(held, some, drawn)
            squares = [each.flatten(1).square().sum(1) for each in gradients.values()]
            norms = torch.stack(squares).sum(0).sqrt()
            factors = (self.clip / norms).clamp_max(1)  # of a gradient of nothing 1, as 1 / 0 is infinite
            for name, each in gradients.items():
                total[name] += (factors @ each.flatten(1)).view_as(total[name])
            loss, terms = loss + losses.sum(), terms + parts.sum(0)
        return total, loss, terms

    def _of_one(self, parameters: Mapping[str, Tensor], x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = functional_call(self.loss, dict(parameters), (x, noise))
        return found


class _OfOne(nn.Module):
    """The loss of one row, and its distortion and rate."""

    def __init__(self, model: VAE, objective: Objective, control: RateControl) -> None:
        super().__init__()
        self.model, self.objective, self.control = model, objective, control

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        inference = self.model.infer_by(x.unsqueeze(0), noise.unsqueeze(0))
        terms = torch.stack([inference.distortion().mean(), inference.rate().mean()])
        return self.objective(inference, self.control), terms
