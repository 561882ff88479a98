"""A mixture of diagonal Gaussians."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, constraints

NUMBERS = 2**17  # differences at a time: in float64 1 MiB, which stays in a core's cache


class GaussianMixture(Distribution):
    """Σ weight_c N(mean_c, diag(exp(log_variance_c))); one distribution, without a batch."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector

    def __init__(
        self,
        log_weight: Float[Tensor, " components"],
        means: Float[Tensor, "components latents"],
        log_variances: Float[Tensor, "components latents"],
    ) -> None:
        self.log_weight, self.means, self.log_variances = log_weight, means, log_variances
        super().__init__(torch.Size(), means.shape[1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[z]."""
        return self.log_weight.exp() @ self.means

    @property
    def variance(self) -> Tensor:
        """Var[z] of each dimension."""
        weight: Tensor = self.log_weight.exp()
        return weight @ (self.log_variances.exp() + (self.means - weight @ self.means).square())

    def log_prob(self, value: Float[Tensor, "*batch latents"]) -> Tensor:
        """Log density in nats. Squares are of differences: expanded, float32 would lose tens of nats far out.

        Some rows are taken at a time, so that memory doesn't grow with all of them times all components.
        """
        if torch.compiler.is_exporting():  # a graph's batch has no size yet
            return self._log_prob(value)
        rows = value.reshape(-1, value.shape[-1]).split(max(1, NUMBERS // self.means.numel()))
        return torch.cat([self._log_prob(some) for some in rows]).reshape(value.shape[:-1])

    def _log_prob(self, value: Float[Tensor, "*batch latents"]) -> Tensor:
        squares = (value.unsqueeze(-2) - self.means).square() * (-self.log_variances).exp()
        constant = self.log_variances + math.log(2 * math.pi)  # within the sum: OpenVINO adds it wrongly to one
        each = self.log_weight - 0.5 * (squares + constant).sum(-1)
        most = each.detach().amax(-1, keepdim=True)  # not logsumexp, whose guard for infinity MNN reads wrongly
        return (each - most).exp().sum(-1).log() + most.squeeze(-1)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draws."""
        with torch.no_grad():
            shape = torch.Size(sample_shape)
            chosen = torch.multinomial(self.log_weight.exp(), shape.numel() or 1, replacement=True).reshape(shape)
            noise = torch.randn(*shape, *self.event_shape, device=self.means.device)
            return self.means[chosen] + (0.5 * self.log_variances[chosen]).exp() * noise
