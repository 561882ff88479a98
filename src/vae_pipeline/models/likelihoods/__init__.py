"""Likelihoods p(x|z): a file each, which holds all that a likelihood is asked; here is what that is.

A decoder delivers [*batch, planes, *event]: `planes` numbers for each value of an observation. A likelihood turns them
into a distribution over observations that are scaled to [0, 1] (columns of a table: to their own units).
"""

from abc import ABC, abstractmethod
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.distributions import Distribution

from vae_pipeline.models.likelihoods.values import Values

Measure = Literal["mass", "density", "cross_entropy"]
"""Kinds of exp(log_prob): a probability, a density of values scaled to [0, 1], or neither."""


class ObservedDistribution(Distribution, ABC):
    """p(x|z): what is asked of the distribution of an observation. Log-probabilities are in nats.

    Its values are independent given z, or each given those before it; the last `rank` axes are one event.
    """

    rank: int

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """E[x|z] of each value, or what stands for it where x is no number."""

    @abstractmethod
    def log_prob_by_element(self, value: Tensor) -> Tensor:
        """log p of each value."""

    @abstractmethod
    def log_prob_expected(self, value: Tensor) -> Tensor:
        """log p of each value if it were the one that is expected."""

    @abstractmethod
    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw observations, each in the support."""

    def log_prob(self, value: Tensor) -> Tensor:
        """log p, summed over the event."""
        return self.log_prob_by_element(value).flatten(-self.rank).sum(-1)

    def deviance_by_element(self, value: Tensor) -> Tensor:
        """The deviance of each value, log p(x | expecting x) - log p(x|z), 0 or more: its loss by not being expected.

        Unlike -log p(x|z) itself it doesn't count what no expectation could spare: the entropy of grey under a
        Bernoulli, the scale of a Gaussian. So an image with less in it (a part is missing) costs no less for that.
        (A centre beyond the lowest or the highest level makes that one likelier than a centre at it does: 0 then.)

        Source: McCullagh and Nelder, Generalized Linear Models, 1989, section 2.3 (there twice this).
        """
        return (self.log_prob_expected(value) - self.log_prob_by_element(value)).clamp_min(0)

    def squared_error_by_element(self, value: Tensor) -> Tensor:
        """Squared distance of each value from its mean; of a category or a token, of its probability from 1."""
        return (value - self.mean).square()

    def unheard_of(self, value: Tensor) -> Tensor | None:  # noqa: ARG002 (most know of nothing like it)
        """Nats that an observation costs for what no training example had, such as a gap in a column that had none.

        None where there can be nothing of the kind.
        """
        return None


@runtime_checkable
class Likelihood(Protocol):
    """A module that turns a decoder's output into p(x|z). The builder's return type is this: mypy says what lacks."""

    planes: int
    """Numbers that it wants of the decoder for each value of an observation."""

    def forward(self, output: Tensor) -> ObservedDistribution:
        """p(x|z)."""
        ...

    def __call__(self, output: Tensor) -> ObservedDistribution:
        """p(x|z)."""
        ...

    def measure(self, binary: bool) -> Measure:
        """The kind of the numbers, on data that are binary or not."""
        ...

    def figures(self) -> dict[str, float]:
        """Its own parameters that a report shows, by the names of their metrics."""
        ...

    def independent(self, train: Values, test: Values) -> float:
        """log p(x) of the test part, in nats an example, by independent values of this family.

        They are fitted to the training part: what a decoder could reach that is told nothing by z.
        """
        ...
