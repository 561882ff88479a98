"""Priors p(z)."""

import torch
from torch import Tensor, nn

from vae_pipeline.models.gaussian import StandardNormal


class StandardNormalPrior(nn.Module):
    """N(0, I): no parameters."""

    zero: Tensor

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.latents = latents
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self) -> StandardNormal:
        """p(z)."""
        return StandardNormal(self.latents, like=self.zero)
