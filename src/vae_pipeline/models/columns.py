"""The distribution of a row: independent columns of Gaussian, Bernoulli and categorical variables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, constraints

from vae_pipeline.nets.columns import one_hot

Kind = Literal["number", "boolean", "category"]


@dataclass(frozen=True)
class Layout:
    """What each column of a table is, and where its parameters lie in a decoder's output.

    An output holds the means of all numbers, (where they are its own) their log-scales, the logits of all booleans,
    and those of one category after the other.
    """

    kinds: tuple[Kind, ...]
    sizes: tuple[int, ...]
    """Of a category, its classes; of other columns 1."""

    def of(self, kind: Kind) -> list[int]:
        """The columns of a kind."""
        return [index for index, each in enumerate(self.kinds) if each == kind]

    @property
    def order(self) -> list[int]:
        """All columns, kind by kind."""
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

    A value that is missing has probability 1: it adds nothing to a distortion.
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
    ) -> None:
        """`scale` is one a number, or one an element; `log_odds` are logits of each category's classes."""
        self.layout, self._mean, self.scale, self.logits = layout, mean, scale, logits
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
        """Of each column; 0 where its value is missing."""
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
        return layout.in_place(found) * present

    def squared_error_by_element(self, value: Float[Tensor, "*rows 2 columns"]) -> Float[Tensor, "*batch columns"]:
        """Of a number its scaled distance, of a boolean and a category that of its probability from 1; squared."""
        values, present = value.unbind(-2)
        layout = self.layout
        found = [
            (layout.take(values, "number") - self._mean).square(),
            (layout.take(values, "boolean") - self.logits.sigmoid()).square(),
        ]
        for index, each in zip(layout.of("category"), self.log_probabilities, strict=True):
            likely = (one_hot(values[..., index], each.shape[-1]) * each.exp()).sum(-1, keepdim=True)
            found.append((1 - likely).square())
        return layout.in_place(found) * present

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
