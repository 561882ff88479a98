"""Priors p(z)."""

import torch
from jaxtyping import Float
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

    def transform(self, noise: Float[Tensor, "*batch latents"]) -> Float[Tensor, "*batch latents"]:
        """A draw of p(z) from a draw of N(0, I)."""
        return noise
