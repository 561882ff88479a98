"""The count columns of a table: what a decoder says of them, and a row's total, become distributions of counts.

With `library` a row's total is shared out by a softmax, as sequencing's depth is among the genes of a cell: rates are
the total times the shares. The total is taken as given: of a row that is there its own, of a new one a draw of those
that training had. So log p(x|z) is of how a total is divided, and isn't compared with that of a model without.

Source: Lopez, Regier, Cole, Jordan and Yosef, Deep Generative Modeling for Single-Cell Transcriptomics, 2018.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.likelihoods.counts import MOST_COUNTED, Counts

Family = Literal["poisson", "negative_binomial", "zero_inflated_poisson", "zero_inflated_negative_binomial"]
LEAST_RATE, LEAST_MEAN = 1e-10, 1e-4
LOG_SIZES = (-8.0, 12.0)
"""The least and the greatest log θ: beyond the one all mass lies at 0, beyond the other a Poisson variable's."""
FIRST_INFLATION = -2.0  # log-odds
NEVER = -60.0  # a logit
ROUNDS = 30  # of an independent fit of zeros


class CountRows:
    """The counts of some rows, before the totals of these are known."""

    def __init__(
        self, output: Float[Tensor, "*batch counts"], size: Tensor | None, inflation: Tensor | None, totals: Tensor
    ) -> None:
        """`output` are log-rates, or where there are `totals`, their quantiles, the logits of shares."""
        self.output, self.size, self.inflation, self.totals = output, size, inflation, totals

    def of(self, values: Float[Tensor, "*rows counts"], present: Float[Tensor, "*rows counts"]) -> Counts:
        """The distribution given the total of the values that are present, which they share."""
        if not len(self.totals):
            return self._at(self.output.exp())
        shares = (self.output + NEVER * (1 - present)).softmax(-1)
        return self._at(shares * (values * present).sum(-1, keepdim=True))

    def typical(self) -> Counts:
        """The distribution at the mean total."""
        middle = (self.totals[1:] + self.totals[:-1]) / 2
        return self.drawn(middle.mean()) if len(self.totals) else self.drawn(None)

    def drawn(self, total: Tensor | None) -> Counts:
        """The distribution of new rows of a total [..., 1], which is asked of nothing where there is no library."""
        return self._at(self.output.exp() if total is None else self.output.softmax(-1) * total)

    def total(self, even: Float[Tensor, "*rows 1"]) -> Tensor | None:
        """The total at a share of the rows of training: lines between its quantiles; None without a library."""
        if not len(self.totals):
            return None
        steps = len(self.totals) - 1
        place = torch.arange(steps, dtype=even.dtype, device=even.device)
        inside = (even * steps - place).clamp(0, 1)
        # The first is added before the sum, as in `scaling`.
        first = torch.cat([self.totals[:1], torch.zeros_like(self.totals[1:-1])])
        return (inside * self.totals.diff() + first).sum(-1, keepdim=True)

    def _at(self, rate: Tensor) -> Counts:
        return Counts(rate.clamp(LEAST_RATE, MOST_COUNTED), self.size, self.inflation)


class CountColumns(nn.Module):
    """The parameters of count columns that aren't the decoder's, and the place of those that are."""

    first: Tensor
    totals: Tensor

    def __init__(self, family: Family, means: Sequence[float], totals: Sequence[float], per_element: bool) -> None:
        """`means` are those of the training part, of each column; `totals` quantiles of a row's, or none.

        θ is the decoder's if `per_element`, else one a column.
        """
        super().__init__()
        self.count, self.inflated = len(means), family.startswith("zero")
        self.dispersed, self.per_element = family.endswith("binomial"), per_element
        # An output of 0 is the mean.
        self.register_buffer("first", torch.tensor(means).clamp_min(LEAST_MEAN).log(), persistent=False)
        self.register_buffer("totals", torch.tensor(totals), persistent=False)
        if self.dispersed and not per_element:
            self.log_size = nn.Parameter(torch.zeros(self.count))

    @property
    def outputs(self) -> int:
        """Numbers that it wants of a decoder."""
        return self.count * (1 + (self.dispersed and self.per_element) + self.inflated)

    def forward(self, output: Float[Tensor, "*batch outputs"]) -> CountRows:
        """The counts that an output tells, before totals are known."""
        parts = iter(output.split([self.count] * (output.shape[-1] // self.count), -1))
        rates, size, inflation = next(parts) + self.first, None, None
        if self.dispersed:
            size = (next(parts) if self.per_element else self.log_size).clamp(*LOG_SIZES).exp()
        if self.inflated:
            inflation = next(parts) + FIRST_INFLATION
        return CountRows(rates, size, inflation, self.totals)

    def independent(self, values: Float[Tensor, "rows counts"], present: Float[Tensor, "rows counts"]) -> CountRows:
        """The same counts of all rows: rates by their means, θ by their variance, π by the zeros beyond these."""
        share = (values * present).sum(0).clamp_min(0.5) / (values * present).sum()
        total = (values * present).sum(-1, keepdim=True)
        part = present @ share[:, None]
        base = total / part.clamp_min(1e-9) if len(self.totals) else torch.ones_like(total)
        weight, zero = present, (values == 0) * present
        inflation = 0.5 * zero.sum(0) / present.sum(0)
        size: Tensor | None = None
        for _ in range(ROUNDS if self.inflated else 1):
            rate = (weight * values).sum(0).clamp_min(0.5) / (weight * base).sum(0).clamp_min(0.5)
            mean = rate * base
            if self.dispersed:
                spread = (weight * ((values - mean).square() - mean)).sum(0)
                size = ((weight * mean.square()).sum(0) / spread.clamp_min(1e-9)).log().clamp(*LOG_SIZES).exp()
            if self.inflated:
                nothing = Counts(mean.clamp_min(LEAST_RATE), size).log_prob(torch.zeros_like(mean)).exp()
                inflation = inflation.clamp(1e-6, 1 - 1e-6)
                extra = zero * inflation / (inflation + (1 - inflation) * nothing)
                inflation = extra.sum(0) / present.sum(0)
                weight = present - extra
        return CountRows(
            rate.log(), size, inflation.clamp(1e-6, 1 - 1e-6).logit() if self.inflated else None, self.totals.to(rate)
        )
