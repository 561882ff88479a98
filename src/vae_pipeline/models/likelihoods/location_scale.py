"""The location and the scale of likelihoods that have them, and where the two come from.

A decoder gives the location. The scale is a number, or learned: one for all observations, or one for each channel (the
event's first axis) or value of them, or one that the decoder gives for each value; or `optimal`: while training the one
that maximises the batch's likelihood, afterwards what those came to. A `sigmoid` mean lies within [0, 1], as the values
do: to draw a black or a white pixel, the decoder need not meet a number but only pass it.

Source: Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated Decoders, 2021.
"""

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from vae_pipeline.models.likelihoods import Measure, ObservedDistribution
from vae_pipeline.models.likelihoods.values import Values

MeanKind = Literal["linear", "sigmoid"]
ScaleKind = Literal["learned", "learned_per_channel", "learned_per_value", "per_element", "optimal"]
LEARNED = ("learned", "learned_per_channel", "learned_per_value")

# A soft floor that keeps a scale from collapsing on constant pixels (Rybkin et al., 2021).
LEAST_LOG_SCALE = -6.0
NEAR_FLOOR = 1e-2  # over it a learned scale starts, at least: at the floor it would never move
FOLLOW = 0.05  # the share by which the kept optimal scale follows each batch's


class LocationScaleLikelihood(nn.Module, ABC):
    """Independent variables, each of a location and a scale."""

    log_scale: Tensor
    gain = 1.0
    """The factor by which a learned log-scale moves faster than other parameters."""

    def __init__(self, shape: tuple[int, ...], scale: float | ScaleKind, mean: MeanKind = "linear") -> None:
        super().__init__()
        self.rank, self.kind, self.mean = len(shape), scale, mean
        self.fixed = None if isinstance(scale, str) else scale
        """The scale, where the recipe says it."""
        self.planes = 2 if scale == "per_element" else 1
        if scale in LEARNED:
            sizes = {"learned": (), "learned_per_channel": (shape[0], *[1] * (self.rank - 1))}
            size = sizes.get(scale, shape)
            self.log_scale = nn.Parameter(torch.full(size, -1.0 / self.gain))
        elif scale != "per_element":
            start = -1.0 if isinstance(scale, str) else float(torch.tensor(scale).log())
            self.register_buffer("log_scale", torch.tensor(start))

    @property
    def scale(self) -> Tensor:
        """Gaussian: standard deviation, Laplace: mean distance from the centre; on values scaled to [0, 1]."""
        return floored(self.gain * self.log_scale) if self.kind in LEARNED else self.log_scale.exp()

    @torch.no_grad()
    def begin(self, scale: float) -> None:
        """Start from that scale, unless the recipe or the decoder gives one."""
        log_scale = max(math.log(max(scale, 1e-30)), LEAST_LOG_SCALE + NEAR_FLOOR)
        if self.kind in LEARNED:
            self.log_scale.fill_((LEAST_LOG_SCALE + math.log(math.expm1(log_scale - LEAST_LOG_SCALE))) / self.gain)
        elif self.kind == "optimal":
            self.log_scale.fill_(log_scale)

    def forward(self, output: Float[Tensor, "*batch_planes_event"]) -> ObservedDistribution:
        """p(x|z)."""
        axis = -1 - self.rank
        if self.kind == "per_element":
            mean, log_scale = output.unbind(axis)
            return self.given(self.located(mean), floored(log_scale - 1))
        return self.given(self.located(output.squeeze(axis)), self.scale)

    def located(self, output: Tensor) -> Tensor:
        """The location that the decoder's output means."""
        return torch.sigmoid(4 * output) if self.mean == "sigmoid" else output  # 4: in the middle as steep as `linear`

    @abstractmethod
    def given(self, mean: Tensor, scale: Tensor) -> ObservedDistribution:
        """The distribution of that centre and scale."""

    @abstractmethod
    def measure(self, binary: bool) -> Measure:
        """The kind of the numbers."""

    def figures(self) -> dict[str, float]:
        """The mean of its scales, unless the decoder gives them."""
        return {} if self.kind == "per_element" else {"scale": float(self.scale.detach().mean())}

    @abstractmethod
    def independent(self, train: Values, test: Values) -> float:
        """log p(x) of the test part by a location a value and one scale, the recipe's where that fixes it."""


class ContinuousLikelihood(LocationScaleLikelihood):
    """One that isn't rounded: a density, whose scale may also be the optimal one."""

    def forward(self, output: Float[Tensor, "*batch_planes_event"]) -> ObservedDistribution:
        """p(x|z)."""
        if self.kind == "optimal" and self.training:
            return _Optimal(self, self.located(output.squeeze(-1 - self.rank)))
        return super().forward(output)

    def given(self, mean: Tensor, scale: Tensor) -> "Continuous":
        """The distribution of that centre and scale."""
        return Continuous(self.real(mean, scale), self.rank)

    @abstractmethod
    def real(self, mean: Tensor, scale: Tensor) -> Distribution:
        """The distribution of each value, whose mean is its mode."""

    @abstractmethod
    def likeliest(self, away: Tensor) -> Tensor:
        """The logarithm of the scale that makes values so far `away` from their locations likeliest."""

    def measure(self, binary: bool) -> Measure:  # noqa: ARG002 (every likelihood is asked the same)
        """The kind of the numbers."""
        return "density"


class Continuous(ObservedDistribution):
    """Independent real variables, each with its mode at its mean."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real

    def __init__(self, real: Distribution, rank: int) -> None:
        """`real` has the shape [*batch, *event]; the last `rank` axes are one event."""
        self.real, self.rank = real, rank
        split = len(real.batch_shape) - rank
        super().__init__(real.batch_shape[:split], real.batch_shape[split:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[x]."""
        return self.real.mean

    @property
    def variance(self) -> Tensor:
        """Var[x] of each value."""
        return self.real.variance

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, summed over the event."""
        by_element = self.log_prob_by_element(value)
        return by_element.reshape(*by_element.shape[: -self.rank], -1).sum(-1)

    def log_prob_by_element(self, value: Tensor) -> Tensor:
        """Log density of each value."""
        by_element: Tensor = self.real.log_prob(value)
        return by_element

    def log_prob_expected(self, value: Tensor) -> Tensor:  # noqa: ARG002 (every distribution is asked the same)
        """Log density at the mean."""
        best: Tensor = self.real.log_prob(self.real.mean)
        return best

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draws."""
        return self.real.sample(torch.Size(sample_shape))


class _Optimal(ObservedDistribution):
    """Variables of the scale that makes the values they are asked about likeliest; the likelihood remembers it."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real

    def __init__(self, likelihood: ContinuousLikelihood, mean: Tensor) -> None:
        self.likelihood, self._mean, self.rank = likelihood, mean, likelihood.rank
        split = mean.ndim - likelihood.rank
        super().__init__(mean.shape[:split], mean.shape[split:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[x]."""
        return self._mean

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, summed over the event."""
        return self._fitted(value).log_prob(value)

    def log_prob_by_element(self, value: Tensor) -> Tensor:
        """Log density of each value."""
        return self._fitted(value).log_prob_by_element(value)

    def log_prob_expected(self, value: Tensor) -> Tensor:
        """Log density at the mean."""
        return self._fitted(value).log_prob_expected(value)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw by the scale that is remembered."""
        return self.likelihood.given(self._mean, self.likelihood.scale).sample(torch.Size(sample_shape))

    def _fitted(self, value: Tensor) -> Continuous:
        log_scale = self.likelihood.likeliest(value - self._mean).clamp_min(LEAST_LOG_SCALE)
        with torch.no_grad():
            self.likelihood.log_scale.lerp_(log_scale, FOLLOW)
        return self.likelihood.given(self._mean, log_scale.exp())


def floored(log_scale: Tensor) -> Tensor:
    """exp of a log-scale that is kept above its floor."""
    return (LEAST_LOG_SCALE + nn.functional.softplus(log_scale - LEAST_LOG_SCALE)).exp()
