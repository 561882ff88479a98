"""Likelihoods p(x|z): a decoder's output to a distribution over observations scaled to [0, 1].

A decoder delivers [*batch, planes, *event]: `planes` numbers for each value of an observation.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Laplace, Normal, constraints

from vae_pipeline.models.autoregressive import AutoregressiveLikelihood
from vae_pipeline.models.bernoulli import LogitBernoulli
from vae_pipeline.models.columns import Layout, RowDistribution
from vae_pipeline.models.discretised import Discretised
from vae_pipeline.models.logistic import DiscretisedLogistic, LevelCategorical

Measure = Literal["mass", "density", "cross_entropy"]
"""Kinds of exp(log_prob): a probability, a density of values scaled to [0, 1], or neither."""
MeanKind = Literal["linear", "sigmoid"]
ScaleKind = Literal["learned", "learned_per_channel", "per_element", "optimal"]

# A soft floor that keeps a scale from collapsing on constant pixels (Rybkin et al., 2021).
LEAST_LOG_SCALE = -6.0
LEAST_LOGISTIC_LOG_SCALE = -7.0
GAIN = 10.0  # Adam moves a parameter by its rate at most: a scale must shrink tenfold in hundreds of steps
FOLLOW = 0.05  # the share by which the kept optimal scale follows each batch's


class BernoulliLikelihood(nn.Module):
    """Independent Bernoulli from logits; on values between 0 and 1 its -log_prob is a cross-entropy."""

    planes = 1

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank

    def forward(self, output: Float[Tensor, "*batch_planes_event"]) -> Distribution:
        """p(x|z)."""
        return LogitBernoulli(output.squeeze(-1 - self.rank), self.rank)

    def measure(self, binary: bool) -> Measure:
        """The kind of the numbers, on data that are binary or not."""
        return "mass" if binary else "cross_entropy"


class LocationScaleLikelihood(nn.Module):
    """Independent Gaussian or Laplace variables; given `levels`, rounded to so many whole numbers.

    The scale is a number, or learned: one for all values, one a channel (the event's first axis), or one that the
    decoder gives for each value; or `optimal`: while training the one that maximises the batch's likelihood,
    afterwards what those came to. A `sigmoid` mean lies within [0, 1], as the values do: to draw a black or a white
    pixel, the decoder need not meet a number but only pass it.

    Source: Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated Decoders, 2021.
    """

    log_scale: Tensor

    def __init__(
        self,
        family: type[Normal] | type[Laplace],
        shape: tuple[int, ...],
        scale: float | ScaleKind,
        mean: MeanKind = "linear",
        levels: int | None = None,
    ) -> None:
        super().__init__()
        self.levels, self.gain = levels, 1.0 if levels is None else GAIN
        self.family, self.rank, self.kind, self.mean = family, len(shape), scale, mean
        self.planes = 2 if scale == "per_element" else 1
        if scale in ("learned", "learned_per_channel"):
            size = () if scale == "learned" else (shape[0], *[1] * (self.rank - 1))
            self.log_scale = nn.Parameter(torch.full(size, -1.0 / self.gain))
        elif scale != "per_element":
            start = -1.0 if isinstance(scale, str) else float(torch.tensor(scale).log())
            self.register_buffer("log_scale", torch.tensor(start))

    @property
    def scale(self) -> Tensor:
        """Gaussian: standard deviation, Laplace: mean distance from the centre; on values scaled to [0, 1]."""
        learned = self.kind in ("learned", "learned_per_channel")
        return _floored(self.gain * self.log_scale) if learned else self.log_scale.exp()

    def forward(self, output: Float[Tensor, "*batch_planes_event"]) -> Distribution:
        """p(x|z)."""
        axis = -1 - self.rank
        if self.kind == "per_element":
            mean, log_scale = output.unbind(axis)
            return self.given(self._mean(mean), _floored(log_scale - 1))
        mean = self._mean(output.squeeze(axis))
        return _Optimal(self, mean) if self.kind == "optimal" and self.training else self.given(mean, self.scale)

    def _mean(self, output: Tensor) -> Tensor:
        return torch.sigmoid(4 * output) if self.mean == "sigmoid" else output  # 4: in the middle as steep as `linear`

    def given(self, mean: Tensor, scale: Tensor) -> Distribution:
        """The distribution of that centre and scale."""
        real = self.family(mean, scale, validate_args=False)
        if self.levels is not None:
            return Discretised(real, self.levels, self.rank)
        return Independent(real, self.rank, validate_args=False)

    def measure(self, binary: bool) -> Measure:  # noqa: ARG002 (every likelihood is asked the same)
        """The kind of the numbers."""
        return "density" if self.levels is None else "mass"


class _Optimal(Distribution):
    """A Gaussian of the scale that makes the values it is asked about likeliest; the likelihood remembers it."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real

    def __init__(self, likelihood: LocationScaleLikelihood, mean: Tensor) -> None:
        self.likelihood, self._mean = likelihood, mean
        split = mean.ndim - likelihood.rank
        super().__init__(mean.shape[:split], mean.shape[split:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[x]."""
        return self._mean

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, summed over the event."""
        away = value - self._mean
        log_scale = (
            0.5 * away.square().mean().log() if self.likelihood.family is Normal else away.abs().mean().log()
        ).clamp_min(LEAST_LOG_SCALE)
        with torch.no_grad():
            self.likelihood.log_scale.lerp_(log_scale, FOLLOW)
        return self.likelihood.given(self._mean, log_scale.exp()).log_prob(value)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw by the scale that is remembered."""
        return self.likelihood.given(self._mean, self.likelihood.scale).sample(torch.Size(sample_shape))


def _floored(log_scale: Tensor) -> Tensor:
    return (LEAST_LOG_SCALE + nn.functional.softplus(log_scale - LEAST_LOG_SCALE)).exp()


class LogisticLikelihood(nn.Module):
    """Independent mixtures of discretised logistic distributions, for data of `levels` whole numbers."""

    centres: Tensor

    def __init__(self, rank: int, levels: int, components: int) -> None:
        super().__init__()
        self.rank, self.levels, self.planes = rank, levels, 3 * components
        centres = (torch.arange(components) + 0.5) / components  # where the components start
        self.register_buffer("centres", centres.reshape(-1, *[1] * rank), persistent=False)

    def forward(self, output: Float[Tensor, "*batch_planes_event"]) -> Distribution:
        """p(x|z)."""
        logits, location, log_scale = output.chunk(3, -1 - self.rank)
        floored = LEAST_LOGISTIC_LOG_SCALE + nn.functional.softplus(log_scale - 2 - LEAST_LOGISTIC_LOG_SCALE)
        return DiscretisedLogistic(logits, self.centres + location, floored, self.levels, self.rank)

    def measure(self, binary: bool) -> Measure:  # noqa: ARG002
        """The kind of the numbers."""
        return "mass"


class CategoricalLikelihood(nn.Module):
    """Independent categorical variables, for data of `levels` whole numbers."""

    def __init__(self, rank: int, levels: int) -> None:
        super().__init__()
        self.rank, self.planes = rank, levels

    def forward(self, output: Float[Tensor, "*batch_planes_event"]) -> Distribution:
        """p(x|z)."""
        return LevelCategorical(output, self.rank)

    def measure(self, binary: bool) -> Measure:  # noqa: ARG002
        """The kind of the numbers."""
        return "mass"


class MixedLikelihood(nn.Module):
    """A row's columns, each of its own family: Gaussian numbers, Bernoulli booleans, categorical categories.

    The scale of a number is learned, one a column; or one that the decoder gives for each row and column. Whether a
    column with gaps has a value is `modelled`, or taken as given.
    """

    planes = 1

    def __init__(
        self, layout: Layout, scale: Literal["learned_per_column", "per_element"], modelled: bool = False
    ) -> None:
        super().__init__()
        self.layout, self.kind, self.modelled = layout, scale, modelled and bool(layout.gaps)
        numbers, booleans = len(layout.of("number")), len(layout.of("boolean"))
        gaps = len(layout.gaps) if self.modelled else 0
        self.parts = [numbers, numbers if scale == "per_element" else 0, booleans, gaps, *layout.category_sizes]
        if scale == "learned_per_column" and numbers:
            self.log_scale = nn.Parameter(torch.zeros(numbers))

    @property
    def outputs(self) -> int:
        """Numbers that it wants of a decoder."""
        return sum(self.parts)

    def forward(self, output: Float[Tensor, "*batch planes outputs"]) -> Distribution:
        """p(x|z)."""
        rows = output.squeeze(-2)
        filled = iter(rows.split([part for part in self.parts if part], -1))  # MNN dies of an empty part
        mean, log_scale, logits, presence, *log_odds = [
            next(filled) if part else rows.detach()[..., :0] for part in self.parts
        ]
        own = self.kind == "per_element" or not self.parts[0]
        scale = _floored(log_scale if own else self.log_scale)
        return RowDistribution(self.layout, mean, scale, logits, log_odds, presence if self.modelled else None)

    def measure(self, binary: bool) -> Measure:  # noqa: ARG002
        """The kind of the numbers."""
        return "density" if self.parts[0] else "mass"


Likelihood = (
    BernoulliLikelihood
    | LocationScaleLikelihood
    | LogisticLikelihood
    | CategoricalLikelihood
    | MixedLikelihood
    | AutoregressiveLikelihood
)


def log_prob_by_element(likelihood: Distribution, value: Tensor) -> Tensor:
    """log p of each value of an observation, [*batch, *event]: `log_prob` is its sum over the event."""
    if isinstance(likelihood, Independent):
        by_element: Tensor = likelihood.base_dist.log_prob(value)
        return by_element
    return likelihood.log_prob_by_element(value)  # type: ignore[attr-defined, no-any-return]


def squared_error_by_element(likelihood: Distribution, value: Tensor) -> Tensor:
    """Squared distance of each value from its mean, [*batch, *event]; of a category, its probability's from 1."""
    if isinstance(likelihood, RowDistribution):
        return likelihood.squared_error_by_element(value)
    return (value - likelihood.mean).square()


def deviance_by_element(likelihood: Distribution, value: Tensor) -> Tensor:
    """How much likelier each value would be, had it been expected: log p(x | expecting x) - log p(x|z), 0 or more.

    Unlike -log p(x|z) itself it doesn't count what no expectation could spare: the entropy of grey under a Bernoulli,
    the scale of a Gaussian. So an image with less in it (a part is missing) costs no less for that.

    Source: McCullagh and Nelder, Generalized Linear Models, 1989, section 2.3 (there twice this).
    """
    match likelihood:
        case Independent():
            base = likelihood.base_dist
            best: Tensor = base.log_prob(base.mean)
        case Discretised():
            best = likelihood.expecting(value).log_prob_by_element(value)
        case LogitBernoulli():
            best = _entropic(value) + _entropic(1 - value)
        case DiscretisedLogistic():
            centred = value.unsqueeze(likelihood.axis).expand_as(likelihood.location)
            best = DiscretisedLogistic(
                likelihood.log_weight, centred, likelihood.log_scale, likelihood.levels, likelihood.rank
            ).log_prob_by_element(value)
        case LevelCategorical():
            best = likelihood.log_probability.amax(likelihood.axis)
        case _:
            raise TypeError(f"{type(likelihood).__name__} is no likelihood of images")
    # A centre beyond the lowest or the highest level makes that one likelier than a centre at it does.
    return (best - log_prob_by_element(likelihood, value)).clamp_min(0)


def _entropic(p: Tensor) -> Tensor:
    return p * p.clamp_min(torch.finfo(torch.float32).tiny).log()
