"""A probability of its own for each of so many whole numbers."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import constraints

from vae_pipeline.models.likelihoods import Measure, ObservedDistribution
from vae_pipeline.models.likelihoods.values import Values


class CategoricalLikelihood(nn.Module):
    """Independent categorical variables, for data of `levels` whole numbers."""

    def __init__(self, rank: int, levels: int) -> None:
        super().__init__()
        self.rank, self.planes = rank, levels

    def forward(self, output: Float[Tensor, "*batch_planes_event"]) -> "LevelCategorical":
        """p(x|z)."""
        return LevelCategorical(output, self.rank)

    def measure(self, binary: bool) -> Measure:  # noqa: ARG002 (every likelihood is asked the same)
        """The kind of the numbers."""
        return "mass"

    def figures(self) -> dict[str, float]:
        """None: the decoder gives all its parameters."""
        return {}

    def independent(self, train: Values, test: Values) -> float:
        """The baseline is a probability a level."""
        return by_level(train, test, self.planes)


def by_level(train: Values, test: Values, levels: int) -> float:
    """log p of the test part by the share of each level in the training part, half a value added to each."""
    p = (train.levels(levels) + 0.5) / (train.count + 0.5 * levels)
    return float((test.levels(levels) * np.log(p)).sum() / test.count)


class LevelCategorical(ObservedDistribution):
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

    def log_prob_by_element(self, value: Tensor) -> Tensor:
        """log p of each value."""
        index = (value * (self.levels - 1)).round().long().unsqueeze(self.axis)
        shape = list(torch.broadcast_shapes(self.log_probability.shape, index.shape))
        log_probability = self.log_probability.expand(shape)
        shape[self.axis] = 1
        chosen = log_probability.gather(self.axis, index.expand(shape))
        return chosen.squeeze(self.axis)

    def log_prob_expected(self, value: Tensor) -> Tensor:  # noqa: ARG002 (every distribution is asked the same)
        """log p of the likeliest level."""
        return self.log_probability.amax(self.axis)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Levels on [0, 1]."""
        with torch.no_grad():
            shape = torch.Size(sample_shape) + self.log_probability.shape
            chosen = one_hot_draw(self.log_probability.expand(shape), self.axis)
            return chosen.argmax(self.axis) / (self.levels - 1)


def one_hot_draw(log_weight: Tensor, axis: int) -> Tensor:
    """Gumbel's trick: the argmax of log-weights plus noise is a draw."""
    uniform = torch.rand_like(log_weight).clamp_min(torch.finfo(log_weight.dtype).tiny)
    noisy = log_weight - torch.log(-torch.log(uniform))
    return (noisy == noisy.amax(axis, keepdim=True)).to(log_weight.dtype)
