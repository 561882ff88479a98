"""One step of private training: the clipped sum of a batch's gradients, noise, and the optimizer.

    gradient = (Σ_i g_i min(1, clip / ‖g_i‖) + noise_multiplier * clip * N(0, I)) / expected rows of a batch

Source: Abadi et al., Deep Learning with Differential Privacy, 2016, algorithm 1.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.adam import AdamW
from vae_pipeline.training.batches import Batch
from vae_pipeline.training.objectives import Objective
from vae_pipeline.training.private.accountant import Mechanism
from vae_pipeline.training.private.gradient import ClippedGradient
from vae_pipeline.training.rate_control import RateControl


class PrivateStep:
    """Gradient and update; `totals` gains distortion and rate, summed over the batch."""

    def __init__(
        self,
        model: VAE,
        optimizer: AdamW,
        totals: Tensor,
        objective: Objective,
        control: RateControl,
        mechanism: Mechanism,
        secret: np.random.Generator,
        check: Callable[[Tensor], None],
    ) -> None:
        """`check` is given each loss before the update; the noise comes from `secret`."""
        self.gradient = ClippedGradient(model, objective, control, mechanism.private.clip)
        self.latents, self.optimizer, self.totals, self.check = model.latents, optimizer, totals, check
        self.mechanism, self.secret = mechanism, secret
        self.rate = torch.zeros((), device=totals.device)

    def __call__(self, batch: Batch, rate: float) -> Tensor:
        """The loss of the batch, a sum over its rows by the rows that a batch has on average."""
        self.rate.fill_(rate)
        x = batch.parts[0].rows.x
        total, loss, terms = self.gradient(x, self._normal((len(x), self.latents)))
        loss = loss / self.mechanism.expected
        self.totals.add_(terms)
        self.check(loss)
        scale = self.mechanism.noise_multiplier * self.mechanism.private.clip
        for name, parameter in self.gradient.parameters.items():
            parameter.grad = (total[name] + scale * self._normal(parameter.shape)) / self.mechanism.expected
        self.optimizer.step(self.rate)
        return loss

    def _normal(self, shape: Sequence[int]) -> Tensor:
        """Draws of N(0, I) that nobody can make again, not even those of latents: each row has one by its place."""
        return torch.from_numpy(self.secret.standard_normal(tuple(shape), np.float32)).to(self.rate.device)
