"""A mixture of logistic distributions, rounded to whole numbers: a probability for data of so many levels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn.functional import logsigmoid, softplus

from vae_pipeline.models.likelihoods import Measure, ObservedDistribution
from vae_pipeline.models.likelihoods.categorical import by_level, one_hot_draw
from vae_pipeline.models.likelihoods.values import Values

LEAST_LOG_SCALE = -7.0  # a soft floor


class LogisticLikelihood(nn.Module):
    """Independent mixtures of discretised logistic distributions, for data of `levels` whole numbers."""

    centres: Tensor

    def __init__(self, rank: int, levels: int, components: int) -> None:
        super().__init__()
        self.rank, self.levels, self.planes = rank, levels, 3 * components
        centres = (torch.arange(components) + 0.5) / components  # where the components start
        self.register_buffer("centres", centres.reshape(-1, *[1] * rank), persistent=False)

    def forward(self, output: Float[Tensor, "*batch_planes_event"]) -> "DiscretisedLogistic":
        """p(x|z)."""
        logits, location, log_scale = output.chunk(3, -1 - self.rank)
        floored = LEAST_LOG_SCALE + softplus(log_scale - 2 - LEAST_LOG_SCALE)
        return DiscretisedLogistic(logits, self.centres + location, floored, self.levels, self.rank)

    def measure(self, binary: bool) -> Measure:  # noqa: ARG002 (every likelihood is asked the same)
        """The kind of the numbers."""
        return "mass"

    def figures(self) -> dict[str, float]:
        """None: the decoder gives all its parameters."""
        return {}

    def independent(self, train: Values, test: Values) -> float:
        """The baseline is a probability a level, which a mixture of enough components comes to."""
        return by_level(train, test, self.levels)


class DiscretisedLogistic(ObservedDistribution):
    """P(x) of x in {0, 1 / (levels - 1), ..., 1}: the mixture's mass within half a level of x; tails at the ends.

    Parameters are [*batch, components, *event]; the last `rank` axes are one event.

    Source: Salimans, Karpathy, Chen and Kingma, PixelCNN++, 2017, eq. 2.
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, logits: Tensor, location: Tensor, log_scale: Tensor, levels: int, rank: int) -> None:
        self.location, self.log_scale, self.levels, self.rank = location, log_scale, levels, rank
        self.axis = -1 - rank
        self.log_weight = logits.log_softmax(self.axis)
        split = location.ndim - rank
        super().__init__(location.shape[: split - 1], location.shape[split:], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """The levels, on [0, 1]."""
        return constraints.unit_interval

    @property
    def mean(self) -> Tensor:
        """E of the mixture clipped to [0, 1] but not yet rounded: within half a level of the exact mean."""
        scale = self.log_scale.exp()
        clipped = scale * (softplus(self.location / scale) - softplus((self.location - 1) / scale))
        return (self.log_weight.exp() * clipped).sum(self.axis)

    def log_prob_by_element(self, value: Tensor) -> Tensor:
        """log p of each value."""
        half = 0.5 / (self.levels - 1)
        x = value.unsqueeze(self.axis)
        inverse = (-self.log_scale).exp()
        upper, lower = (x + half - self.location) * inverse, (x - half - self.location) * inverse
        # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)), without cancellation
        first, last = x < half, x > 1 - half
        zero = torch.zeros((), dtype=upper.dtype, device=upper.device)
        mass = (
            torch.where(last, zero, logsigmoid(upper))
            + torch.where(first, zero, logsigmoid(-lower))
            + torch.where(first | last, zero, torch.log(-torch.expm1(-2 * half * inverse)))
        )
        return (self.log_weight + mass).logsumexp(self.axis)

    def log_prob_expected(self, value: Tensor) -> Tensor:
        """log p of each value where every component is centred at it."""
        centred = value.unsqueeze(self.axis).expand_as(self.location)
        return DiscretisedLogistic(
            self.log_weight, centred, self.log_scale, self.levels, self.rank
        ).log_prob_by_element(value)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Levels on [0, 1]."""
        with torch.no_grad():
            shape = torch.Size(sample_shape) + self.log_weight.shape
            chosen = one_hot_draw(self.log_weight.expand(shape), self.axis)
            location = (chosen * self.location).sum(self.axis)
            scale = (chosen * self.log_scale).sum(self.axis).exp()
            drawn = location + scale * torch.logit(torch.rand_like(location), eps=1e-6)
            return (drawn.clamp(0, 1) * (self.levels - 1)).round() / (self.levels - 1)
