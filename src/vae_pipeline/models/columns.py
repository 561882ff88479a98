"""The distribution of a row: independent columns of Gaussian, Bernoulli and categorical variables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, constraints

from vae_pipeline.models.nets.columns import one_hot

Kind = Literal["number", "boolean", "category"]
UNHEARD_OF = 1e6
"""Nats that a missing value costs where none was missing in training: more than any value does."""


@dataclass(frozen=True)
class Layout:
    """The kind of each column of a table, and the place of its parameters in a decoder's output.

    An output holds the means of all numbers, (where they are its own) their log-scales, the logits of all booleans,
    (where it is modelled) those of the presence of each column with gaps, and those of one category after the other.
    """

    kinds: tuple[Kind, ...]
    sizes: tuple[int, ...]
    """The number of classes of a category; 1 for other columns."""
    missing: tuple[bool, ...]
    """Whether values may be missing."""

    @property
    def gaps(self) -> list[int]:
        """The columns whose values may be missing."""
        return [index for index, may in enumerate(self.missing) if may]

    def of(self, kind: Kind) -> list[int]:
        """The columns of a kind."""
        return [index for index, each in enumerate(self.kinds) if each == kind]

    @property
    def order(self) -> list[int]:
        """Indices of all columns, kind by kind."""
        return [*self.of("number"), *self.of("boolean"), *self.of("category")]

    def in_place(self, parts: Sequence[Tensor]) -> Tensor:
        """Columns kind by kind, as `order` has them, in the order that they have in a row."""
        order = self.order
        return _columns(torch.cat(list(parts), -1), [order.index(index) for index in range(len(order))])

    def take(self, values: Tensor, kind: Kind) -> Tensor:
        """The columns of a kind."""
        return _columns(values, self.of(kind))

    @property
    def category_sizes(self) -> list[int]:
        """Classes of each category."""
        return [self.sizes[index] for index in self.of("category")]


def _columns(values: Tensor, chosen: list[int]) -> Tensor:
    if chosen == list(range(values.shape[-1])):
        return values
    return values.index_select(-1, torch.tensor(chosen, dtype=torch.long, device=values.device))  # ONNX's plain Gather


class RowDistribution(Distribution):
    """Independent columns; what is asked about is [..., 2, columns]: scaled values, and 1 where one is present.

    Whether a column with gaps has a value is a Bernoulli variable of its own, or taken as given; the value is asked
    about where there is one. A column that never lacked one makes a row without it as unlikely as can be.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real

    def __init__(
        self,
        layout: Layout,
        mean: Float[Tensor, "*batch numbers"],
        scale: Tensor,
        logits: Float[Tensor, "*batch booleans"],
        log_odds: Sequence[Tensor],
        presence: Float[Tensor, "*batch gaps"] | None = None,
    ) -> None:
        """`scale` is one a number, or one an element; `log_odds` are logits of each category's classes.

        `presence` are logits that there is a value, of the columns with gaps; None where that is taken as given.
        """
        self.layout, self._mean, self.scale, self.logits = layout, mean, scale, logits
        self.presence = presence
        self.log_probabilities = [each.log_softmax(-1) for each in log_odds]
        super().__init__(mean.shape[:-1], torch.Size([2, len(layout.kinds)]), validate_args=False)

    @property
    def mean(self) -> Tensor:
        """[..., columns]: a number's mean, the probability of a boolean, and a category's likeliest class."""
        classes = [each.argmax(-1, keepdim=True).float() for each in self.log_probabilities]
        return self.layout.in_place([self._mean, self.logits.sigmoid(), *classes])

    def log_prob(self, value: Float[Tensor, "*rows 2 columns"]) -> Float[Tensor, "*batch"]:
        """Summed over the columns that are present."""
        return self.log_prob_by_element(value).sum(-1)

    def log_prob_by_element(self, value: Float[Tensor, "*rows 2 columns"]) -> Float[Tensor, "*batch columns"]:
        """log p of each column's value."""
        values, present = value.unbind(-2)
        layout = self.layout
        numbers, booleans = layout.take(values, "number"), layout.take(values, "boolean")
        away = (numbers - self._mean) / self.scale
        found = [
            -0.5 * (away.square() + math.log(2 * math.pi)) - self.scale.log(),
            booleans * self.logits - nn.functional.softplus(self.logits),
        ]
        for index, each in zip(layout.of("category"), self.log_probabilities, strict=True):
            found.append((one_hot(values[..., index], each.shape[-1]) * each).sum(-1, keepdim=True))
        return layout.in_place(found) * present + self._presence(present) - self.unheard_of(value)

    def _presence(self, present: Float[Tensor, "*rows columns"]) -> Tensor:
        """Log-probability that a value is there, or isn't: of each column, or 0 of all."""
        if self.presence is None:
            return torch.zeros(())
        gaps = self.layout.gaps
        told = _columns(present, gaps) * self.presence - nn.functional.softplus(self.presence)
        padded = torch.cat([told, torch.zeros_like(told[..., :1])], -1)
        return _columns(padded, [gaps.index(at) if may else len(gaps) for at, may in enumerate(self.layout.missing)])

    def unheard_of(self, value: Float[Tensor, "*rows 2 columns"]) -> Float[Tensor, "*rows columns"]:
        """Nats of each value that is missing, and never was in training."""
        never = value.new_tensor([0.0 if may else UNHEARD_OF for may in self.layout.missing])
        return (1 - value[..., 1, :]) * never

    def squared_error_by_element(self, value: Float[Tensor, "*rows 2 columns"]) -> Float[Tensor, "*batch columns"]:
        """The squared distance: a number's scaled one, a boolean's and a category's of its probability from 1."""
        values, present = value.unbind(-2)
        layout = self.layout
        found = [
            (layout.take(values, "number") - self._mean).square(),
            (layout.take(values, "boolean") - self.logits.sigmoid()).square(),
        ]
        for index, each in zip(layout.of("category"), self.log_probabilities, strict=True):
            likely = (one_hot(values[..., index], each.shape[-1]) * each.exp()).sum(-1, keepdim=True)
            found.append((1 - likely).square())
        return layout.in_place(found) * present + self.unheard_of(value)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Rows with every value present."""
        with torch.no_grad():
            shape = torch.Size([*sample_shape, *self.batch_shape])
            numbers = self._mean + self.scale * torch.randn(*shape, self._mean.shape[-1]).to(self._mean)
            booleans = torch.bernoulli(self.logits.sigmoid().expand(*shape, -1))
            classes = [
                Categorical(logits=each).sample(torch.Size(sample_shape)).unsqueeze(-1).float()
                for each in self.log_probabilities
            ]
            values = self.layout.in_place([numbers, booleans, *classes])
            return torch.stack([values, torch.ones_like(values)], -2)
