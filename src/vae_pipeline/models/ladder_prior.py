"""The prior of a ladder whose topmost level has a learned one.

p(z) = p(z_top) N(z_rest; 0, I)
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from vae_pipeline.models.gaussian import DiagonalGaussian, StandardNormal
from vae_pipeline.models.mixture import GaussianMixture
from vae_pipeline.models.priors import Infer, MixturePrior, VampPrior
from vae_pipeline.models.samplers import LevelsSampler, Sampler, StandardNormalSampler


class TopAndRest(Distribution):
    """A mixture over the first latents, N(0, I) over the others; one distribution, without a batch."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector

    def __init__(self, top: GaussianMixture, rest: StandardNormal) -> None:
        self.top, self.rest = top, rest
        self.first = top.event_shape[0]
        """The number of latents of the topmost level."""
        super().__init__(torch.Size(), torch.Size([self.first + rest.event_shape[0]]), validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[z]."""
        return torch.cat([self.top.mean, self.rest.mean])

    @property
    def variance(self) -> Tensor:
        """Var[z] of each dimension."""
        return torch.cat([self.top.variance, self.rest.variance])

    def log_prob(self, value: Float[Tensor, "*batch latents"]) -> Tensor:
        """Log density in nats."""
        return self.top.log_prob(value[..., : self.first]) + self.rest.log_prob(value[..., self.first :])

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draws."""
        with torch.no_grad():
            return torch.cat([self.top.sample(sample_shape), self.rest.sample(torch.Size(sample_shape))], -1)


class LadderPrior(nn.Module):
    """A mixture or vamp prior of the topmost level, N(0, I) of the `rest`."""

    zero: Tensor

    def __init__(self, top: MixturePrior | VampPrior, rest: int) -> None:
        super().__init__()
        self.top, self.latents = top, top.latents + rest
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, infer: Infer) -> TopAndRest:
        """p(z)."""
        return TopAndRest(self.top(_topmost(infer)), StandardNormal(self.latents - self.top.latents, like=self.zero))

    def sampler(self, infer: Infer) -> Sampler:
        """Draws of p(z) from noise."""
        return LevelsSampler(self.top.sampler(_topmost(infer)), StandardNormalSampler(self.latents - self.top.latents))

    def frozen(self, infer: Infer) -> "LadderPrior":
        """An equal distribution that needs no encoder."""
        top = self.top.frozen(_topmost(infer)) if isinstance(self.top, VampPrior) else self.top
        return LadderPrior(top, self.latents - top.latents)


def _topmost(infer: Infer) -> Infer:
    """The way to q of the topmost level alone, which depends on no draw."""

    def inferred(scaled: Tensor) -> Distribution:
        posterior = infer(scaled)
        top = posterior.top  # type: ignore[attr-defined]
        assert isinstance(top, DiagonalGaussian)
        return top

    return inferred
