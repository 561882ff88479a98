"""The diagonal Gaussian over latents, with the closed forms that the hot path needs.

torch's Independent(Normal) gives the same answers from twice the kernels (a test holds them equal).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.kl import register_kl

from vae_pipeline.models.draw import Draw, Posterior


class DiagonalGaussian(Posterior):
    """N(mean, diag(exp(log_variance))); the last axis is the event."""

    arg_constraints = {"mean": constraints.real_vector, "log_variance": constraints.real_vector}  # noqa: RUF012

    def __init__(self, mean: Float[Tensor, "*batch latents"], log_variance: Float[Tensor, "*batch latents"]) -> None:
        self._mean, self.log_variance = mean, log_variance
        super().__init__(mean.shape[:-1], mean.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[z]."""
        return self._mean

    @property
    def variance(self) -> Tensor:
        """Var[z]."""
        return self.log_variance.exp()

    @property
    def like(self) -> Tensor:
        """The mean."""
        return self._mean

    def draw(self, noise: Tensor) -> Draw:
        """The draw that `noise` of N(0, I) becomes."""
        z = self.transform(noise)
        return Draw(z, self, lambda: self.log_prob(z))

    def transform(self, noise: Tensor) -> Tensor:
        """mean + scale * noise."""
        return torch.addcmul(self._mean, (0.5 * self.log_variance).exp(), noise)

    def detached(self) -> "DiagonalGaussian":
        """The same, constant to a gradient."""
        return DiagonalGaussian(self._mean.detach(), self.log_variance.detach())

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, summed over the event, in nats."""
        return self.log_prob_per_dimension(value).sum(-1)

    def log_prob_per_dimension(self, value: Tensor) -> Tensor:
        """Log density of each dimension, in nats."""
        squares = (value - self._mean).square() * (-self.log_variance).exp()
        return -0.5 * (squares + self.log_variance + math.log(2 * math.pi))


class StandardNormal(DiagonalGaussian):
    """N(0, I)."""

    def __init__(self, latents: int, like: Tensor) -> None:
        zeros = torch.zeros(latents, dtype=like.dtype, device=like.device)
        super().__init__(zeros, zeros)


class FullGaussian(Posterior):
    """N(mean, L L^T) with L lower triangular; the last axis is the event."""

    def __init__(
        self, mean: Float[Tensor, "*batch latents"], scale_tril: Float[Tensor, "*batch latents latents"]
    ) -> None:
        self._mean, self.scale_tril = mean, scale_tril
        super().__init__(mean.shape[:-1], mean.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[z]."""
        return self._mean

    @property
    def variance(self) -> Tensor:
        """Var[z] of each dimension."""
        return self.scale_tril.square().sum(-1)

    @property
    def log_determinant(self) -> Tensor:
        """log |L|."""
        diagonal: Tensor = self.scale_tril.diagonal(dim1=-2, dim2=-1)
        return diagonal.log().sum(-1)

    @property
    def like(self) -> Tensor:
        """The mean."""
        return self._mean

    def draw(self, noise: Tensor) -> Draw:
        """mean + L noise, whose density needs no solving, which ONNX lacks."""
        z = self._mean + (self.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)
        return Draw(z, self, lambda: self._log_prob_of(noise))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, summed over the event, in nats."""
        away = (value - self._mean).unsqueeze(-1)
        return self._log_prob_of(torch.linalg.solve_triangular(self.scale_tril, away, upper=False).squeeze(-1))

    def _log_prob_of(self, noise: Tensor) -> Tensor:
        squares: Tensor = (noise.square() + math.log(2 * math.pi)).sum(-1)
        return -0.5 * squares - self.log_determinant


def rate_per_dimension(q: DiagonalGaussian, p: DiagonalGaussian) -> Float[Tensor, "*batch latents"]:
    """KL(q ‖ p) of each dimension, in nats."""
    if isinstance(p, StandardNormal):
        return 0.5 * (q.mean.square() + q.variance - 1 - q.log_variance)
    difference = (q.mean - p.mean).square()
    return 0.5 * ((q.variance + difference) / p.variance - 1 + p.log_variance - q.log_variance)


@register_kl(DiagonalGaussian, DiagonalGaussian)  # type: ignore[untyped-decorator]
def _kl(q: DiagonalGaussian, p: DiagonalGaussian) -> Tensor:
    return rate_per_dimension(q, p).sum(-1)


@register_kl(FullGaussian, StandardNormal)  # type: ignore[untyped-decorator]
def _kl_full(q: FullGaussian, p: StandardNormal) -> Tensor:  # noqa: ARG001
    return 0.5 * (q.variance + q.mean.square() - 1).sum(-1) - q.log_determinant
