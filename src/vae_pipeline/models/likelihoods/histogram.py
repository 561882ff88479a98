"""Numbers of no family: the probability of each cell that a column's values are sorted into, and none of its shape.

Edges lie half-way between the values of one cell and those of the next, so that cells meet. A cell's core is what lies
near its values; the density is constant there, and far lower in what the core leaves of the cell:

    p(x) = p(cell) ((1 - STRAY) [x in core] / core + STRAY / cell)

with the widths of either. So a value that is frequent, and far from the next, doesn't share its probability with the
gap. Below the first cell and above the last one the density falls exponentially, by one a scaled unit: a value that is
farther out than any was in training has a probability, which a model learns to be next to none.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.distributions import Distribution, constraints
from torch.nn.functional import pad

FAR = 1e30
LEAST_WIDTH = 1e-7  # of a cell, in scaled units: float32 may leave the middle between two values none
LEAST_REACH = 1e-5  # of a core beyond its values, in scaled units: rounding doesn't take a value out of it
STRAY = 0.01
"""The share of a cell's values that may lie anywhere in it."""
NEVER = -60.0  # a logit
DOUBT = 5e-6  # scaled units, under `LEAST_REACH`: rounding takes a value no farther


class Cells(nn.Module):
    """The cells of some columns; where one has fewer than another, the last ones are never met."""

    lower: Tensor
    upper: Tensor
    core_lower: Tensor
    core_upper: Tensor
    centre: Tensor
    log_density: Tensor
    log_rest: Tensor
    outer: Tensor
    met: Tensor

    def __init__(self, cores: Sequence[Float[Tensor, "_ 4"]]) -> None:
        """`cores`, of each column, are `vae_pipeline.kinds.table.cells.Core` of each cell, scaled and rising."""
        super().__init__()
        self.sizes = [len(each) + 2 for each in cores]
        """The cells of each column, with those below and above."""
        most = max(self.sizes, default=0)
        columns: list[Tensor] = []
        for each in cores:
            start, low, high, end = each.double().unbind(1)
            between = (high[:-1] + low[1:]) / 2
            first, last = _outermost(low, high, between)
            edges = torch.cat([first[None], between, last[None]])
            start = torch.maximum(torch.minimum(start, low - LEAST_REACH), edges[:-1])
            end = torch.minimum(torch.maximum(end, high + LEAST_REACH), edges[1:])
            core, whole = ((to - at).clamp_min(LEAST_WIDTH) for at, to in ((start, end), (edges[:-1], edges[1:])))
            planes = [
                torch.cat([edges.new_tensor([-FAR]), edges]),
                torch.cat([edges, edges.new_tensor([FAR])]),
                pad(start, (1, 1), value=FAR),
                pad(end, (1, 1), value=FAR),
                torch.cat([first[None] - 1, (low + high) / 2, last[None] + 1]),
                pad(((1 - STRAY) / core + STRAY / whole).log(), (1, 1)),
                pad((STRAY / whole).log(), (1, 1)),
            ]
            behind = (0, most - len(low) - 2)
            columns.append(
                torch.cat([pad(torch.stack(planes[:4]), behind, value=2 * FAR), pad(torch.stack(planes[4:]), behind)])
            )
        found = torch.stack(columns, 1) if columns else torch.zeros(7, 0, 0)
        lower, upper, core_lower, core_upper, centre, log_density, log_rest = found
        met = torch.arange(most) < torch.tensor(self.sizes)[:, None] if columns else torch.zeros(0, 0)
        ends = [(upper[at, 0], lower[at, size - 1]) for at, size in enumerate(self.sizes)]
        values = {
            "lower": lower, "upper": upper, "core_lower": core_lower, "core_upper": core_upper, "centre": centre,
            "log_density": log_density, "log_rest": log_rest, "outer": torch.tensor(ends).view(-1, 2).T, "met": met,
        }  # fmt: skip
        for name, value in values.items():
            self.register_buffer(name, value.float(), persistent=False)

    def log_shares(self, values: Float[Tensor, "rows columns"], present: Float[Tensor, "rows columns"]) -> Tensor:
        """The logarithm of how often values that are `present` lie in each cell, half a value added to each."""
        within = self.members(values).to(values) * present.unsqueeze(-1)
        shares: Tensor = (within.sum(0) + 0.5).log()
        return shares

    def members(self, values: Float[Tensor, "rows columns"]) -> Bool[Tensor, "rows columns cells"]:
        """True of the cell that each value lies in."""
        at = values.unsqueeze(-1)
        return (at >= self.lower) & (at < self.upper)

    def doubtful(self, values: Float[Tensor, "rows columns"]) -> Bool[Tensor, " rows"]:
        """True of rows with a value so near the end of a cell or a core that rounding decides where it lies."""
        ends = torch.stack([self.lower, self.upper, self.core_lower, self.core_upper])
        return ((values[:, None, :, None] - ends).abs() < DOUBT).flatten(1).any(1)

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
        core = (at - cells.core_lower >= 0) & (at - cells.core_upper < 0)
        below, above = cells.outer
        beyond: Tensor = (below - value).clamp_min(0) + (value - above).clamp_min(0)
        # Not a product: where a runtime's softmax comes to 0, its logarithm times 0 is none.
        rest: Tensor = self.log_probability + cells.log_rest
        densities = torch.where(core, self.log_probability + cells.log_density, rest)
        return torch.where(within, densities, torch.zeros_like(rest)).sum(-1) - beyond

    def log_prob_expected(self) -> Float[Tensor, "*batch columns"]:
        """Log density where it is highest."""
        highest: Tensor = (self.log_probability + self.cells.log_density).amax(-1)
        return highest

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """A cell by its probability, and an even draw within its core or edges, or an exponential one beyond."""
        cells, column = self.cells, torch.arange(len(self.cells.sizes), device=self.log_probability.device)
        index = torch.distributions.Categorical(logits=self.log_probability).sample(torch.Size(sample_shape))
        stray = torch.rand(index.shape, device=index.device) < STRAY
        low = torch.where(stray, cells.lower[column, index], cells.core_lower[column, index])
        high = torch.where(stray, cells.upper[column, index], cells.core_upper[column, index])
        below, above = cells.outer
        away = torch.empty(index.shape, device=low.device).exponential_()
        values = low + torch.rand(index.shape, device=low.device) * (high - low)
        values = torch.where(index == 0, below - away, values)
        return torch.where(index == torch.tensor(cells.sizes, device=low.device) - 1, above + away, values)
