"""A mixture of logistic distributions, rounded to whole numbers: a probability for data of so many levels."""

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.nn.functional import logsigmoid, softplus


class DiscretisedLogistic(Distribution):
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

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability, summed over the event, of values that are levels on [0, 1]."""
        return self.log_prob_by_element(value).flatten(-self.rank).sum(-1)

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

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Levels on [0, 1]."""
        with torch.no_grad():
            shape = torch.Size(sample_shape) + self.log_weight.shape
            chosen = _one_hot_draw(self.log_weight.expand(shape), self.axis)
            location = (chosen * self.location).sum(self.axis)
            scale = (chosen * self.log_scale).sum(self.axis).exp()
            drawn = location + scale * torch.logit(torch.rand_like(location), eps=1e-6)
            return (drawn.clamp(0, 1) * (self.levels - 1)).round() / (self.levels - 1)


def _one_hot_draw(log_weight: Tensor, axis: int) -> Tensor:
    """Gumbel's trick: the argmax of log-weights plus noise is a draw."""
    uniform = torch.rand_like(log_weight).clamp_min(torch.finfo(log_weight.dtype).tiny)
    noisy = log_weight - torch.log(-torch.log(uniform))
    return (noisy == noisy.amax(axis, keepdim=True)).to(log_weight.dtype)


class LevelCategorical(Distribution):
    """P(x) of x in {0, 1 / (levels - 1), ..., 1}, each level's its own; logits are [*batch, levels, *event]."""

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, logits: Tensor, rank: int) -> None:
        self.rank, self.axis = rank, -1 - rank
        self.levels = logits.shape[self.axis]
        self.log_probability = logits.log_softmax(self.axis)
        split = logits.ndim - rank
        super().__init__(logits.shape[: split - 1], logits.shape[split:], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """The levels, on [0, 1]."""
        return constraints.unit_interval

    @property
    def mean(self) -> Tensor:
        """E[x]."""
        values = torch.linspace(0, 1, self.levels, device=self.log_probability.device)
        return (self.log_probability.exp() * values.reshape(-1, *[1] * self.rank)).sum(self.axis)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability, summed over the event, of values that are levels on [0, 1]."""
        return self.log_prob_by_element(value).flatten(-self.rank).sum(-1)

    def log_prob_by_element(self, value: Tensor) -> Tensor:
        """log p of each value."""
        index = (value * (self.levels - 1)).round().long().unsqueeze(self.axis)
        shape = list(torch.broadcast_shapes(self.log_probability.shape, index.shape))
        log_probability = self.log_probability.expand(shape)
        shape[self.axis] = 1
        chosen = log_probability.gather(self.axis, index.expand(shape))
        return chosen.squeeze(self.axis)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Levels on [0, 1]."""
        with torch.no_grad():
            shape = torch.Size(sample_shape) + self.log_probability.shape
            chosen = _one_hot_draw(self.log_probability.expand(shape), self.axis)
            return chosen.argmax(self.axis) / (self.levels - 1)
