"""Draws of a table's rows from p(x|z), by numbers that are given, so that every runtime draws the same rows.

Each column takes `UNIFORM` numbers that are even in (0, 1): the first says whether there is a value, the second chooses
a boolean, a category or a cell, and the last two make a number; the third chooses among a category's pooled values.
Counts take more of them (`drawn_counts`), and of a table that has some each column does. A category that training
never saw isn't drawn, nor is a number beyond the outermost cells. A number that has a step is rounded to it.

Source: Bailey, Polar Generation of Random Variates with the t-Distribution, 1994; of infinitely many degrees of
freedom, Box and Muller, A Note on the Generation of Random Normal Deviates, 1958.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vae_pipeline.kinds.spec import Column
from vae_pipeline.models.likelihoods import drawn_counts
from vae_pipeline.models.likelihoods.class_draw import drawn_class
from vae_pipeline.models.likelihoods.histogram import Histogram
from vae_pipeline.models.likelihoods.layout import Layout, columns
from vae_pipeline.models.likelihoods.mixed import RowDistribution
from vae_pipeline.models.likelihoods.student_t import StudentT
from vae_pipeline.models.scaling import TableScaling

UNIFORM = 4
"""Even numbers that the draw of a value takes."""
NEVER = -60.0  # a logit
UNBOUNDED = 3e38
DOUBT = 1e-5  # of an even number
HALF = 1e-3  # of a step
ROUNDING = 2e-6  # of a scaled unit: float32 was up to 1.9e-6 of it from float64, over 5,000 rows of `tumours`
FINEST = 1e-4  # of a scaled unit: whether a finer step is made matters less than `export.tolerance`


class DrawnRows(NamedTuple):
    """Rows that were drawn, and those of which rounding alone could have made others."""

    values: Float[Tensor, "batch columns"]
    """Values in the data's units, less offsets."""
    present: Float[Tensor, "batch columns"]
    """0 where a value is missing, else 1."""
    doubtful: Bool[Tensor, " batch"]


class RowDraw(nn.Module):
    """The steps, extents and cells of a table's columns, by which draws become raw rows."""

    step: Tensor
    stepped: Tensor
    doubt: Tensor
    origin: Tensor
    least: Tensor
    most: Tensor
    low: Tensor
    width: Tensor
    outside: Tensor
    offset: Tensor | None
    """A constant that draws add to a decoder's output, so that rows have the shares of the training part; or None."""

    def __init__(self, layout: Layout, of: Sequence[Column], bounded: bool, matched: int = 0) -> None:
        """`bounded`: numbers lie between the least and the greatest of the training part.

        `matched` is the length of a decoder's output that has an offset; 0 where it has none.
        """
        super().__init__()
        self.layout = layout
        self.each = 1 + drawn_counts.EVEN if layout.of("count") else UNIFORM
        told = [of[index] for index in layout.of("histogram")]
        most = max((len(column.cells) for column in told), default=0)
        # A cell's values with half a step on either side, all of which is rounded to them; below the cells and above
        # them there are two more, of which nothing is drawn.
        spans = [
            [(0.0, 0.0), *((low - column.step / 2, high - low + column.step) for low, high in column.cells),
             *[(0.0, 0.0)] * (most + 1 - len(column.cells))]
            for column in told
        ]  # fmt: skip
        cells = torch.tensor(spans).view(len(told), most + 2, 2)
        place, counts = torch.arange(most + 2), torch.tensor([[len(column.cells)] for column in told]).view(-1, 1)
        extents = [column.extent if bounded and column.extent else (-UNBOUNDED, UNBOUNDED) for column in of]
        values = {
            "step": torch.tensor([column.step or 1.0 for column in of]),
            "stepped": torch.tensor([float(column.step > 0) for column in of]),
            "origin": torch.tensor([column.extent[0] if column.extent else 0.0 for column in of]),
            "doubt": torch.tensor([_doubt(column) for column in of]),
            "least": torch.tensor([least for least, _ in extents]),
            "most": torch.tensor([most for _, most in extents]),
            "low": cells[..., 0],
            "width": cells[..., 1],
            "outside": ((place < 1) | (place > counts)).float(),
        }
        for name, value in values.items():
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("offset", torch.zeros(matched) if matched else None)

    @property
    def uniform(self) -> int:
        """Even numbers that a row takes."""
        return self.each * len(self.layout.kinds)

    def cell_shares(self, histogram: Histogram) -> Float[Tensor, "batch columns cells"]:
        """The chances of cells, of which the outermost aren't drawn."""
        return (histogram.log_probability + NEVER * self.outside).softmax(-1)

    def class_shares(self, log_probability: Float[Tensor, "batch known"]) -> Float[Tensor, "batch classes"]:
        """The chances of a category's classes, but for that of values which training never saw."""
        return log_probability[..., :-1].softmax(-1)

    def drawn(self, rows: RowDistribution, uniform: Float[Tensor, "batch even"], scaling: TableScaling) -> DrawnRows:
        """Raw rows, and which of them are doubtful."""
        layout = self.layout
        even = uniform.unflatten(-1, (-1, self.each))
        there, choice, first, second, *_ = even.unbind(-1)
        likely, drawn = rows.logits.sigmoid(), layout.take(choice, "boolean")
        gaps = [(drawn - likely).abs()]
        cells, classes = [], []
        if rows.histogram is not None:
            chosen, gap = drawn_class(self.cell_shares(rows.histogram), layout.take(choice, "histogram"), -1)
            cells.append((chosen * self.low).sum(-1) + layout.take(first, "histogram") * (chosen * self.width).sum(-1))
            gaps.append(gap)
        if rows.counts is not None:
            counted, gap = drawn_counts.drawn(rows.counts, columns(even.mT, layout.of("count")).mT[..., 1:])
            cells.append(counted)
            gaps.append(gap)
        for (index, pool), each in zip(layout.categories, rows.log_probabilities, strict=True):
            chosen, gap = drawn_class(self.class_shares(each), choice[:, index], -1)
            place = torch.arange(chosen.shape[-1], dtype=torch.float32, device=chosen.device)
            classes.append(pool.drawn((chosen * place).sum(-1), first[:, index]).unsqueeze(-1))
            gaps.append(gap.unsqueeze(-1))
            if pool.shares:
                gaps.append(pool.near(first[:, index]).unsqueeze(-1))
        others = [*cells, (drawn < likely).float(), *classes]
        if layout.of("number"):
            made = _number(rows, layout.take(first, "number"), layout.take(second, "number"))
            raw = scaling.inverse(
                layout.in_place([made, *(torch.zeros_like(each) for each in cells), *others[len(cells) :]])
            )
            others.insert(0, layout.take(raw, "number"))
        values = layout.in_place(others).clamp(self.least, self.most)
        steps = (values - self.origin) / self.step
        whole = torch.floor(steps + 0.5)
        values = torch.where(self.stepped > 0, self.origin + whole * self.step, values)
        near = (steps + 0.5 - whole).clamp(0, 1)
        doubtful = (self.stepped * torch.minimum(near, 1 - near) < self.doubt) & (self.stepped > 0)
        present = torch.ones_like(values)
        if rows.presence is not None:
            likely, drawn = rows.presence.sigmoid(), columns(there, layout.gaps)
            gaps.append((drawn - likely).abs())
            present = layout.among_all((drawn < likely).float(), 1.0)
        return DrawnRows(values, present, doubtful.any(-1) | (torch.cat(gaps, -1) < DOUBT).any(-1))


def _doubt(column: Column) -> float:
    """The distance from a half step, in steps, within which rounding may decide to which step a number goes."""
    if column.step < FINEST * column.unit:
        return HALF
    return HALF + ROUNDING * column.unit / (column.step or 1.0)


def _number(rows: RowDistribution, first: Tensor, second: Tensor) -> Tensor:
    """A scaled number of its own family."""
    numbers = rows.numbers
    if isinstance(numbers, StudentT):
        squared = numbers.degrees * (torch.exp(-2 / numbers.degrees * first.log()) - 1)
    else:
        squared = -2 * first.log()
    return numbers.mean + numbers.scale * squared.sqrt() * torch.cos(2 * math.pi * second)
