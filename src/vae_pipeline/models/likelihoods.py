"""Likelihoods p(x|z): a decoder's output to a distribution over observations scaled to [0, 1].

A decoder delivers [*batch, planes, *event]: `planes` numbers for each value of an observation.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, Normal

Measure = Literal["mass", "density", "cross_entropy"]
"""What exp(log_prob) is: a probability, a density of values scaled to [0, 1], or neither."""

# A soft floor that keeps a learned scale from collapsing on constant pixels (Rybkin et al., 2021).
LEAST_LOG_SCALE = -6.0


class LogitBernoulli(Bernoulli):
    """torch's Bernoulli from logits, with a log_prob of two kernels that stays finite in every runtime.

    torch's own is exported as Log(Sigmoid(x)), which is -inf below -104.
    """

    def log_prob(self, value: Tensor) -> Tensor:
        """value * logits - log(1 + exp(logits)), for values in [0, 1]."""
        return value * self.logits - nn.functional.softplus(self.logits)


class BernoulliLikelihood(nn.Module):
    """Independent Bernoulli from logits; on values between 0 and 1 its -log_prob is a cross-entropy."""

    planes = 1

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank

    def forward(self, output: Float[Tensor, "*batch_planes_event"]) -> Distribution:
        """p(x|z)."""
        logits = output.squeeze(-1 - self.rank)
        return Independent(LogitBernoulli(logits=logits, validate_args=False), self.rank, validate_args=False)

    def measure(self, binary: bool) -> Measure:
        """What the numbers are, on data that are binary or not."""
        return "mass" if binary else "cross_entropy"


class GaussianLikelihood(nn.Module):
    """Independent Gaussian with one scale for all values, fixed or learned (Rybkin et al., 2021)."""

    planes = 1
    log_scale: Tensor

    def __init__(self, rank: int, scale: float | Literal["learned"]) -> None:
        super().__init__()
        self.rank = rank
        self.learned = scale == "learned"
        if scale == "learned":
            self.log_scale = nn.Parameter(torch.tensor(-1.0))
        else:
            self.register_buffer("log_scale", torch.tensor(scale).log())

    @property
    def scale(self) -> Tensor:
        """Standard deviation, in units of values scaled to [0, 1]."""
        if not self.learned:
            return self.log_scale.exp()
        return (LEAST_LOG_SCALE + nn.functional.softplus(self.log_scale - LEAST_LOG_SCALE)).exp()

    def forward(self, output: Float[Tensor, "*batch_planes_event"]) -> Distribution:
        """p(x|z)."""
        mean = output.squeeze(-1 - self.rank)
        return Independent(Normal(mean, self.scale, validate_args=False), self.rank, validate_args=False)

    def measure(self, binary: bool) -> Measure:  # noqa: ARG002 (every likelihood is asked the same)
        """What the numbers are."""
        return "density"


Likelihood = BernoulliLikelihood | GaussianLikelihood
