"""Independent Bernoulli variables from their logits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributions import constraints

from vae_pipeline.models.likelihoods import Measure, ObservedDistribution
from vae_pipeline.models.likelihoods.values import Values, total


class BernoulliLikelihood(nn.Module):
    """Independent Bernoulli from logits; on values between 0 and 1 its -log_prob is a cross-entropy."""

    planes = 1

    def __init__(self, rank: int) -> None:
        super().__init__()
        self.rank = rank

    def forward(self, output: Float[Tensor, "*batch_planes_event"]) -> "LogitBernoulli":
        """p(x|z)."""
        return LogitBernoulli(output.squeeze(-1 - self.rank), self.rank)

    def measure(self, binary: bool) -> Measure:
        """The kind of the numbers, on data that are binary or not."""
        return "mass" if binary else "cross_entropy"

    def figures(self) -> dict[str, float]:
        """None: it has no parameters."""
        return {}

    def independent(self, train: Values, test: Values) -> float:
        """The baseline is a probability a value; half a one and half a nought added (Krichevsky, Trofimov, 1981)."""
        p = (total(train) + 0.5) / (train.count + 1)
        x = total(test) / test.count
        return float((x * np.log(p) + (1 - x) * np.log1p(-p)).sum())


class LogitBernoulli(ObservedDistribution):
    """Independent Bernoulli variables from their logits; the last `rank` axes are one event.

    torch's Independent(Bernoulli) gives the same answers in twice the time (a test holds them equal), and is
    exported as Log(Sigmoid(x)), which is -inf below -104.
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012

    def __init__(self, logits: Tensor, rank: int) -> None:
        self.logits, self.rank = logits, rank
        split = logits.ndim - rank
        super().__init__(logits.shape[:split], logits.shape[split:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[x]: the probabilities."""
        return self.logits.sigmoid()

    @property
    def variance(self) -> Tensor:
        """Var[x]."""
        return self.mean * (1 - self.mean)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Zeros and ones."""
        with torch.no_grad():
            return torch.bernoulli(self.mean.expand(*sample_shape, *self.logits.shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Σ value * logits - log(1 + exp(logits)) over the event, for values in [0, 1]."""
        if torch.compiler.is_compiling():  # a compiler fuses what is written plainly
            return self.log_prob_by_element(value).flatten(-self.rank).sum(-1)
        summed: Tensor = _LogBernoulli.apply(self.logits, value, self.rank)  # type: ignore[no-untyped-call]
        return summed

    def log_prob_by_element(self, value: Tensor) -> Tensor:
        """log p of each value."""
        return value * self.logits - nn.functional.softplus(self.logits)

    def log_prob_expected(self, value: Tensor) -> Tensor:
        """log p of each value where it is the probability itself: minus its entropy, 0 of a nought or a one."""
        return _entropic(value) + _entropic(1 - value)


def _entropic(p: Tensor) -> Tensor:
    return p * p.clamp_min(torch.finfo(torch.float32).tiny).log()


def log_prob_and_slope(logits: Tensor, value: Tensor, room: Sequence[Tensor] = ()) -> tuple[Tensor, Tensor]:
    """log p of each value, and its slope by the logits, value - sigmoid(logits); the two are of one shape.

    It works in three tensors of that shape, which a caller may keep as `room`: its answers are two of them. A step of a
    small network takes most of its time in moving such as these.
    """
    probability, negative, positive = room or [torch.empty_like(logits) for _ in range(3)]
    torch.sigmoid(logits, out=probability)
    # log(1 + exp(l)) = max(l, 0) - log(sigmoid(|l|)), and sigmoid(|l|) = |sigmoid(l) - 1/2| + 1/2.
    torch.sub(probability, 0.5, out=negative).abs_().add_(0.5).log_().sub_(torch.clamp_min(logits, 0, out=positive))
    return negative.addcmul_(value, logits), torch.sub(value, probability, out=probability)


class _LogBernoulli(torch.autograd.Function):
    """The sum over the event, with the gradient by the logits worked out beside it: value - sigmoid(logits)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, value: Tensor, rank: int) -> Tensor:
        ctx.shape = logits.shape
        by_element, slope = log_prob_and_slope(*torch.broadcast_tensors(logits, value))
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(slope)
        return by_element.flatten(-rank).sum(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        spread = gradient.reshape(gradient.shape + (1,) * (slope.ndim - gradient.ndim))
        return (slope * spread).sum_to_size(ctx.shape), None, None
