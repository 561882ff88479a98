"""The tail of known scores, by which a new score has a p-value: of all of them, and of segments by themselves.

Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005 (split and Mondrian conformal).
"""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

STEP = 1e-3  # of the steps to which known scores are raised, in standard deviations of these
ROUNDING = 1e-4  # and relative to the highest: a hundred times what float32 loses of a sum
MILLIONTH = 1e-6


class EmpiricalTail(nn.Module):
    """The number of known scores that are at least as high as a score, made continuous from above.

    Known scores are raised to the next of some even steps, and over one step from there the count falls linearly (over
    all the way to the next known one, where it is to be `smooth`). So it's never under the count itself, and a rounding
    error in a score is a small one in the tail, and no jump.
    """

    scores: Tensor
    """The known ones, rising."""
    lower: Tensor
    gap: Tensor
    count: Tensor

    def __init__(self, scores: Float[Tensor, " examples"], smooth: bool = False) -> None:
        super().__init__()
        exact = scores.double().sort().values
        step = float(STEP * exact.std(correction=0) + ROUNDING * (1 + exact[-1].abs()))
        places, count = ((exact - exact[0]) / step).floor().unique(return_counts=True)
        lower = exact[0] + (places + 1) * step
        gap = torch.cat([lower.diff(), torch.full_like(lower[:1], step)]) if smooth else torch.full_like(lower, step)
        self.total = len(scores)
        self.register_buffer("scores", exact.float())
        self.register_buffer("lower", lower.float())
        self.register_buffer("gap", gap.float())
        self.register_buffer("count", count.float())

    @classmethod
    def restored(cls, state: Mapping[str, Tensor], prefix: str) -> "EmpiricalTail":
        """The tail whose `state_dict` stands in `state`, each name behind the prefix."""
        tail = cls(torch.zeros(1))
        for name in tail.state_dict():
            tail.register_buffer(name, state[prefix + name])
        tail.total = len(tail.scores)
        return tail

    def forward(self, score: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The count, from 0 to `total`."""
        if torch.compiler.is_exporting():  # a search is no operator that every runtime has
            every: Tensor = ((score.unsqueeze(-1) - self.lower) / self.gap).clamp(0, 1)
            return ((1 - every) * self.count).sum(-1)
        at_least = self.count.flip(0).cumsum(0).flip(0)
        place = (torch.searchsorted(self.lower, score) - 1).clamp_min(0)
        beyond = ((score - self.lower[place]) / self.gap[place]).clamp(0, 1)
        return at_least[place] - beyond * self.count[place]

    def p_value(self, score: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """(1 + count) / (1 + total); a millionth less, so that no rounding lifts it over the alpha that it equals."""
        p_value: Tensor = (1 + self(score)) * ((1 - MILLIONTH) / (1 + self.total))
        return p_value

    def threshold(self, alpha: float) -> float:
        """The score from which on the p-value is at most `alpha`; infinite where it never is."""
        count = alpha * (1 + self.total) / (1 - MILLIONTH) - 1
        if count < 0:
            return math.inf
        more = self.count.double().flip(0).cumsum(0).flip(0) - count
        if more[0] <= 0:
            return -math.inf
        place = int((more > 0).sum()) - 1
        share = min(1.0, float(more[place] / self.count[place]))
        return float(self.lower[place] + share * self.gap[place])

    def rank(self, score: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Places from the highest known score: -`total` under all of them, 0 at the highest, `total` a span beyond."""
        span = self.lower[-1] - self.scores[0]  # a step at least
        rank: Tensor = (score - self.scores[-1]).clamp_min(0) * (self.total / span) - self(score)
        return rank


class SegmentTails(nn.Module):
    """The tails of some segments of the examples, beside the tail of all, which stands in for the other segments."""

    codes: Tensor

    def __init__(self, column: int | None, tails: Mapping[int, EmpiricalTail]) -> None:
        """Tails by the code of their segment: the value in a row's `column`; the label where that is None."""
        super().__init__()
        self.column = column
        self.register_buffer("codes", torch.tensor(list(tails), dtype=torch.float32))
        self.tails = nn.ModuleList(tails.values())

    def p_value(
        self,
        score: Float[Tensor, " batch"],
        of_all: Float[Tensor, " batch"],
        x: Tensor,
        label: Tensor | None,
    ) -> Float[Tensor, " batch"]:
        """P-values within the segments; `of_all` are those in the tail of all."""
        within = torch.stack([tail.p_value(score) for tail in self.tails], 1)  # type: ignore[operator]
        member = self._members(x, label)
        p_value: Tensor = (member * within).sum(1) + (1 - member.sum(1)) * of_all
        return p_value

    def _members(self, x: Tensor, label: Tensor | None) -> Float[Tensor, "batch segments"]:
        """1 where an example is of a segment, else 0; without comparisons of axes, which some runtimes get wrong."""
        if self.column is None:
            assert label is not None  # the recipe says so
            code = label.float()
        else:
            code = x[:, self.column]
            code = torch.where(code <= torch.finfo(torch.float32).max, code, torch.full_like(code, -1))  # not of NaN
        return (1 - (code.unsqueeze(-1) - self.codes).abs()).clamp(0, 1)
