"""Numbers of no family: the probability of each cell that a column's values are sorted into, and none of its shape.

Edges lie half-way between the values of one cell and those of the next, so that cells meet; the density within one is
constant. Below the first cell and above the last one the density falls exponentially, by one a scaled unit: a value
that is farther out than any was in training has a probability, which a model learns to be next to none.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

FAR = 1e30
LEAST_WIDTH = 1e-7  # of a cell, in scaled units: float32 may leave the middle between two values none
NEVER = -60.0  # a logit


class Cells(nn.Module):
    """The cells of some columns; where one has fewer than another, the last ones are never met."""

    lower: Tensor
    upper: Tensor
    centre: Tensor
    log_width: Tensor
    outer: Tensor
    met: Tensor

    def __init__(self, extents: Sequence[Float[Tensor, "_ 2"]]) -> None:
        """`extents` are the least and the greatest value of each cell, scaled and rising, of each column."""
        super().__init__()
        self.sizes = [len(each) + 2 for each in extents]
        """The cells of each column, with those below and above."""
        most = max(self.sizes, default=0)
        columns: list[Tensor] = []
        for extent in extents:
            low, high = extent.double().unbind(1)
            between = (high[:-1] + low[1:]) / 2
            first, last = _outermost(low, high, between)
            edges = torch.cat([first[None], between, last[None]])
            lower = torch.cat([edges.new_tensor([-FAR]), edges])
            upper = torch.cat([edges, edges.new_tensor([FAR])])
            centre = torch.cat([first[None] - 1, (low + high) / 2, last[None] + 1])
            log_width = torch.cat([edges.new_zeros(1), edges.diff().clamp_min(LEAST_WIDTH).log(), edges.new_zeros(1)])
            filled = nn.functional.pad(
                torch.stack([lower, upper, centre, log_width]), (0, most - len(lower)), value=0.0
            )
            filled[:2, len(lower) :] = 2 * FAR
            columns.append(filled)
        planes = torch.stack(columns, 1) if columns else torch.zeros(4, 0, 0)
        met = torch.arange(most) < torch.tensor(self.sizes)[:, None] if columns else torch.zeros(0, 0)
        ends = [(planes[1, at, 0], planes[0, at, size - 1]) for at, size in enumerate(self.sizes)]
        values = {
            "lower": planes[0], "upper": planes[1], "centre": planes[2], "log_width": planes[3],
            "outer": torch.tensor(ends).view(-1, 2).T, "met": met,
        }  # fmt: skip
        for name, value in values.items():
            self.register_buffer(name, value.float(), persistent=False)

    def log_shares(self, values: Float[Tensor, "rows columns"], present: Float[Tensor, "rows columns"]) -> Tensor:
        """The logarithm of how often values that are `present` lie in each cell, half a value added to each."""
        at = values.unsqueeze(-1)
        within = ((at >= self.lower) & (at < self.upper)).to(values) * present.unsqueeze(-1)
        shares: Tensor = (within.sum(0) + 0.5).log()
        return shares

    def forward(self, logits: Float[Tensor, "*batch columns cells"]) -> "Histogram":
        """The distribution of a number of each column."""
        return Histogram(self, logits)


def _outermost(low: Tensor, high: Tensor, between: Tensor) -> tuple[Tensor, Tensor]:
    """The first edge and the last: as far from the extremes as the next edges are from the values beside them."""
    if not len(between):
        return low[0] - 0.5, high[-1] + 0.5
    return low[0] - (between[0] - high[0]), high[-1] + (low[-1] - between[-1])


class Histogram(Distribution):
    """Independent numbers, each in one cell of its column."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real

    def __init__(self, cells: Cells, logits: Float[Tensor, "*batch columns cells"]) -> None:
        self.cells = cells
        self.log_probability = (logits + NEVER * (1 - cells.met)).log_softmax(-1)
        super().__init__(logits.shape[:-1], validate_args=False)

    @property
    def mean(self) -> Float[Tensor, "*batch columns"]:
        """E[x], with the middle of its values for each cell."""
        expected: Tensor = (self.log_probability.exp() * self.cells.centre).sum(-1)
        return expected

    def log_prob(self, value: Float[Tensor, "*rows columns"]) -> Float[Tensor, "*batch columns"]:
        """Log density of each number."""
        cells, at = self.cells, value.unsqueeze(-1)
        # MNN compares wrongly what is spread on both sides; it subtracts rightly.
        within = (at - cells.lower >= 0) & (at - cells.upper < 0)
        below, above = cells.outer
        beyond: Tensor = (below - value).clamp_min(0) + (value - above).clamp_min(0)
        # Not a product: where a runtime's softmax comes to 0, its logarithm times 0 is none.
        densities: Tensor = self.log_probability - cells.log_width
        return torch.where(within, densities, torch.zeros_like(densities)).sum(-1) - beyond

    def log_prob_expected(self) -> Float[Tensor, "*batch columns"]:
        """Log density where it is highest."""
        highest: Tensor = (self.log_probability - self.cells.log_width).amax(-1)
        return highest

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """A cell by its probability, and an even draw within its edges, or an exponential one beyond the outermost."""
        cells, column = self.cells, torch.arange(len(self.cells.sizes), device=self.log_probability.device)
        index = torch.distributions.Categorical(logits=self.log_probability).sample(torch.Size(sample_shape))
        low, high = cells.lower[column, index], cells.upper[column, index]
        below, above = cells.outer
        away = torch.empty(index.shape, device=low.device).exponential_()
        values = low + torch.rand(index.shape, device=low.device) * (high - low)
        values = torch.where(index == 0, below - away, values)
        return torch.where(index == torch.tensor(cells.sizes, device=low.device) - 1, above + away, values)
