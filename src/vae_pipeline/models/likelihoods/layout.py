"""The places of a table's columns in a row and in a decoder's output."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vae_pipeline.models.nets.pool import Pool

Kind = Literal["number", "histogram", "count", "boolean", "category"]


@dataclass(frozen=True)
class Layout:
    """The kind of each column of a table, and the place of its parameters in a decoder's output.

    An output holds the means of all numbers, (where they are its own) their log-scales, the logits of all booleans,
    (where it is modelled) those of the presence of each column with gaps, those of the cells of all numbers that are
    told by a histogram, what counts want, and the logits of one category after the other.
    """

    kinds: tuple[Kind, ...]
    pools: tuple[Pool, ...]
    """The values of a category; of other columns none."""
    missing: tuple[bool, ...]
    """True if values may be missing."""

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
        kinds: tuple[Kind, ...] = ("number", "histogram", "count", "boolean", "category")
        return [index for kind in kinds for index in self.of(kind)]

    def in_place(self, parts: Sequence[Tensor]) -> Tensor:
        """Columns kind by kind, as `order` has them, in the order that they have in a row."""
        order = self.order
        return columns(torch.cat(list(parts), -1), [order.index(index) for index in range(len(order))])

    def take(self, values: Tensor, kind: Kind) -> Tensor:
        """The columns of a kind."""
        return columns(values, self.of(kind))

    def among_all(self, of_gaps: Tensor, otherwise: float) -> Tensor:
        """Values of the columns with gaps in their places among all columns, and in the other places another value."""
        gaps = self.gaps
        padded = torch.cat([of_gaps, torch.full_like(of_gaps[..., :1], otherwise)], -1)
        return columns(padded, [gaps.index(at) if may else len(gaps) for at, may in enumerate(self.missing)])

    @property
    def categories(self) -> list[tuple[int, Pool]]:
        """The index and the values of each category."""
        return [(index, self.pools[index]) for index in self.of("category")]

    @property
    def category_sizes(self) -> list[int]:
        """Classes of each category, with that of values which training never saw."""
        return [pool.classes + 1 for _, pool in self.categories]


def columns(values: Tensor, chosen: list[int]) -> Tensor:
    """The chosen columns, in that order."""
    if chosen == list(range(values.shape[-1])):
        return values
    return values.index_select(-1, torch.tensor(chosen, dtype=torch.long, device=values.device))  # ONNX's plain Gather
