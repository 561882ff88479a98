"""A diagonal Gaussian passed through a coupling flow."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from vae_pipeline.models.draw import Draw, Posterior
from vae_pipeline.models.gaussian import DiagonalGaussian
from vae_pipeline.models.nets.coupling import CouplingFlow


class FlowGaussian(Posterior):
    """The distribution of flow(z, context) where z is drawn from `base`; the last axis is the event."""

    def __init__(self, base: DiagonalGaussian, flow: CouplingFlow, context: Float[Tensor, "*batch features"]) -> None:
        self.base, self.flow, self.context = base, flow, context
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The image of the base's mean, which stands for E[z]: that has no closed form."""
        return self.draw(torch.zeros_like(self.base.mean)).z

    @property
    def variance(self) -> Tensor:
        """Var[z] of each dimension by the unscented transform (Julier and Uhlmann, 1997): exact of a linear flow."""
        latents = self.event_shape[0]
        axes = math.sqrt(latents) * torch.eye(latents, dtype=self.base.mean.dtype, device=self.base.mean.device)
        points = torch.cat([axes, -axes])[(slice(None), *[None] * len(self.batch_shape))]
        z = self.draw(points.expand(-1, *self.batch_shape, -1)).z
        return (z - z.mean(0)).square().mean(0)

    @property
    def like(self) -> Tensor:
        """The base's mean."""
        return self.base.mean

    def draw(self, noise: Tensor) -> Draw:
        """The draw that `noise` of N(0, I) becomes, whose density needs no inverse."""
        start = self.base.transform(noise)
        z, log_determinant = self.flow(start, self.context.expand(*start.shape[:-1], -1))
        log_q = self.base.log_prob(start) - log_determinant
        return Draw(z, self, lambda: log_q)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density in nats, by the flow's inverse."""
        start, log_determinant = self.flow.inverse(value, self.context.expand(*value.shape[:-1], -1))
        return self.base.log_prob(start) + log_determinant
