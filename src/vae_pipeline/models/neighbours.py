"""Neighbours of a table's rows among training rows: what a model of likelihoods doesn't ask, as one score beside it.

-log of the tail of -ELBO, of the squared distances to the nearest training row in standardised and in quantile-scaled
columns, and of the squared length of the row in the latter (what each column tells by itself), added.

Sources: distance to the nearest neighbour, Ramaswamy, Rastogi and Shim, Efficient Algorithms for Mining Outliers from
Large Data Sets, 2000; sum of -log p, Fisher, Statistical Methods for Research Workers, 1932, sect. 21.1.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.kinds.table.scaling import knots_of
from vae_pipeline.models.likelihoods.layout import Layout
from vae_pipeline.models.nets.columns import one_hot
from vae_pipeline.models.scaling import TableScaling
from vae_pipeline.models.table import TableVAE
from vae_pipeline.recipe.data import ColumnScaling

KEPT = 4096  # rows at most, among which a neighbour is looked for
GRID = 128  # steps of a scaled unit, to which the rows that are kept are rounded
STEP = 1e-3  # the least distance of a tail's knots, of 1 + |median|
AT_ONCE = 256  # training rows, when their own neighbours are looked for


class NeighbourEnsemble(nn.Module):
    """Some training rows, and the tails of the four members among training rows that were left out in their turn.

    Held-back rows wouldn't do for the tails: they calibrate the p-value of the sum.
    """

    standard: Tensor
    quantile: Tensor
    kept: Tensor
    tails: Tensor

    def __init__(
        self,
        layout: Layout,
        standard: Float[Tensor, "numbers standard_knots 2"],
        quantile: Float[Tensor, "numbers quantile_knots 2"],
        kept: Float[Tensor, "width rows"],
        tails: Float[Tensor, "members tail_knots 2"],
    ) -> None:
        """Knots of two scalings of the numbers; the rows that are kept, scaled, one a column; knots of the tails."""
        super().__init__()
        self.layout = layout
        self.numbers = sorted([*layout.of("number"), *layout.of("histogram")])
        for name, tensor in {"standard": standard, "quantile": quantile, "kept": kept, "tails": tails}.items():
            self.register_buffer(name, tensor)
        self.scalings = nn.ModuleList(_scaling(knots) for knots in (standard, quantile) if len(knots))
        self.tail = _scaling(tails)

    @classmethod
    def fitted(
        cls, model: TableVAE, train: Tensor, kept: Tensor, negative_elbo: Float[Tensor, " ranked"]
    ) -> "NeighbourEnsemble":
        """Scalings by `train`; the tails by the first of `kept`, whose -ELBO is given; all are raw rows."""
        layout = model.rows.layout
        numbers = sorted([*layout.of("number"), *layout.of("histogram")])
        standard, quantile = _knots(train[:, numbers], "standard"), _knots(train[:, numbers], "quantile")
        found = cls(layout, standard, quantile, torch.zeros(0, 0), torch.tensor([[[0.0, 0.0], [1.0, 1.0]]] * 4))
        found.kept = (found.placed(kept) * GRID).round().T / GRID
        members = [
            found.members(kept[at : at + len(part)], part, left_out=at)
            for at, part in zip(range(0, len(negative_elbo), AT_ONCE), negative_elbo.split(AT_ONCE), strict=True)
        ]
        return cls(
            layout, standard, quantile, found.kept, _padded([_tail(each) for each in torch.cat(members).unbind(1)])
        )

    @classmethod
    def restored(cls, model: TableVAE, state: Mapping[str, Tensor], prefix: str) -> "NeighbourEnsemble":
        """The ensemble whose `state_dict` stands in `state`, each name behind the prefix."""
        standard, quantile, kept, tails = (state[prefix + name] for name in ("standard", "quantile", "kept", "tails"))
        return cls(model.rows.layout, standard, quantile, kept, tails)

    def forward(self, x: Float[Tensor, "batch columns"], negative_elbo: Float[Tensor, " batch"]) -> Tensor:
        """The score of raw rows [batch], whose -ELBO is given."""
        tails: Tensor = self.tail(self.members(x, negative_elbo))[:, 0]
        return tails.sum(1)

    def members(
        self, x: Float[Tensor, "batch columns"], negative_elbo: Float[Tensor, " batch"], left_out: int | None = None
    ) -> Float[Tensor, "batch 4"]:
        """-ELBO, two squared distances and a squared length; of rows that are kept themselves from `left_out` on."""
        placed, count = self.placed(x), len(self.numbers)
        marks = squared_distances(placed[:, 2 * count :], self.kept[2 * count :])
        found = [negative_elbo]
        for start in (0, count):
            apart = marks + squared_distances(placed[:, start : start + count], self.kept[start : start + count])
            if left_out is not None:  # a row is no neighbour of its own
                places = torch.arange(len(x), device=x.device)
                apart[places, places + left_out] = math.inf if self.kept.shape[1] > 1 else 0.0
            found.append(apart.amin(1))
        found.append(placed[:, count : 2 * count].square().sum(1))
        return torch.stack(found, 1)

    def placed(self, x: Float[Tensor, "batch columns"]) -> Float[Tensor, "batch width"]:
        """Numbers, standardised and by quantiles, 0 where one is missing; then marks, 0 or 1.

        Marks are each boolean's and category's value, with one of values that training never saw, and each column's
        gap. So two categories that differ are at a squared distance of 2, which is the mean of two numbers at random.
        """
        present = (x <= torch.finfo(torch.float32).max).float()  # not of NaN; MNN has no IsNaN
        known = torch.where(present > 0, x, torch.zeros_like(x))
        parts = [scaling(x[:, self.numbers])[:, 0] for scaling in self.scalings]
        parts += [one_hot(known[:, at], 2) * present[:, at, None] for at in self.layout.of("boolean")]
        parts += [
            one_hot(pool.class_of(known[:, at]), pool.classes + 1) * present[:, at, None]
            for at, pool in self.layout.categories
        ]
        return torch.cat([*parts, 1 - present], 1)


def squared_distances(x: Float[Tensor, "batch width"], rows: Float[Tensor, "width rows"]) -> Tensor:
    """|x - r|^2 [batch, rows] by products of matrices; `rows` are multiples of 1 / GRID.

    The first three terms are whole multiples of 1 / GRID^2, which float32 adds without an error as far as |x|^2 + |r|^2
    is 1024: or the nearest of rows that are nearly equal would be lost in the rounding of their squares.
    """
    if not len(rows):
        return x.new_zeros(1, 1)
    near = (x * GRID).round() / GRID
    rest = x - near
    whole = near.square().sum(1, keepdim=True) - 2 * (near @ rows) + rows.square().sum(0)
    apart: Tensor = whole + (rest * (near + x)).sum(1, keepdim=True) - 2 * (rest @ rows)
    return apart.clamp_min(0)


def _knots(numbers: Float[Tensor, "rows numbers"], scaling: ColumnScaling) -> Float[Tensor, "numbers knots 2"]:
    found = []
    for column in numbers.T.double().cpu().numpy():
        present = column[~np.isnan(column)]
        found.append(knots_of(present if len(present) else np.zeros(1), scaling))
    return _padded(found)


def _scaling(knots: Float[Tensor, "columns knots 2"]) -> TableScaling:
    return TableScaling([[(raw, scaled) for raw, scaled in column] for column in knots.tolist()])


def _tail(known: Float[Tensor, " ranked"]) -> list[tuple[float, float]]:
    """Knots of -log of the tail: at the quantiles that 1, 1/2, 1/4, ... of the known values are at least as high as."""
    values = known.double().sort().values
    count, least = len(values), float(STEP * (1 + values.median().abs()))
    knots = [(float(values[0]), 0.0)]
    for halvings in range(1, count.bit_length()):
        value = float(values[math.ceil((1 - 0.5**halvings) * count)])
        if value >= knots[-1][0] + least:
            knots.append((value, halvings * math.log(2)))
    if len(knots) == 1:  # all are alike, and what is higher is rarer than any
        knots.append((knots[0][0] + least, math.log(1 + count)))
    return knots


def _padded(knots: list[list[tuple[float, float]]] | list[tuple[tuple[float, float], ...]]) -> Tensor:
    """[columns, knots, 2]: of a column with fewer, the last is repeated."""
    most = max((len(each) for each in knots), default=0)
    return torch.tensor([[*each, *[each[-1]] * (most - len(each))] for each in knots]).reshape(len(knots), most, 2)
