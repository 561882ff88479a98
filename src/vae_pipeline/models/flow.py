"""A diagonal Gaussian passed through a coupling flow."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints

from vae_pipeline.models.gaussian import DiagonalGaussian
from vae_pipeline.models.nets.coupling import CouplingFlow
from vae_pipeline.numerics.randomness import standard_normal


class FlowGaussian(Distribution):
    """The distribution of flow(z, context) where z is drawn from `base`; the last axis is the event."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, base: DiagonalGaussian, flow: CouplingFlow, context: Float[Tensor, "*batch features"]) -> None:
        self.base, self.flow, self.context = base, flow, context
        self._drawn: tuple[Tensor, Tensor] | None = None
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The image of the base's mean, which stands for E[z]: that has no closed form."""
        return self.transform(torch.zeros_like(self.base.mean))

    @property
    def variance(self) -> Tensor:
        """Var[z] of each dimension by the unscented transform (Julier and Uhlmann, 1997): exact of a linear flow."""
        latents = self.event_shape[0]
        axes = math.sqrt(latents) * torch.eye(latents, dtype=self.base.mean.dtype, device=self.base.mean.device)
        points = torch.cat([axes, -axes])[(slice(None), *[None] * len(self.batch_shape))]
        z = self.transform(points.expand(-1, *self.batch_shape, -1))
        return (z - z.mean(0)).square().mean(0)

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """A reparameterised draw."""
        return self.transform(standard_normal(sample_shape, self.base.mean))

    def transform(self, noise: Tensor) -> Tensor:
        """The draw that `noise` of N(0, I) becomes."""
        start = self.base.transform(noise)
        z: Tensor
        z, log_determinant = self.flow(start, self.context.expand(*start.shape[:-1], -1))
        self._drawn = (z, self.base.log_prob(start) - log_determinant)
        return z

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density in nats; what was drawn last needs no inverse."""
        if self._drawn is not None and value is self._drawn[0]:
            return self._drawn[1]
        start, log_determinant = self.flow.inverse(value, self.context.expand(*value.shape[:-1], -1))
        return self.base.log_prob(start) + log_determinant
