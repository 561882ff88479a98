"""The distribution of a row: independent columns, each of numbers, of booleans or of categories."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, constraints

from vae_pipeline.models.likelihoods import Measure, ObservedDistribution
from vae_pipeline.models.likelihoods.count_columns import CountColumns, CountRows
from vae_pipeline.models.likelihoods.histogram import Cells, Histogram
from vae_pipeline.models.likelihoods.layout import Layout, columns
from vae_pipeline.models.likelihoods.location_scale import LEAST_LOG_SCALE, floored
from vae_pipeline.models.likelihoods.student_t import FIRST_EXCESS, StudentT, degrees_of, fitted
from vae_pipeline.models.likelihoods.values import Values
from vae_pipeline.models.nets.columns import one_hot
from vae_pipeline.models.nets.pool import Pool

UNHEARD_OF = 1e6
"""Nats that a missing value costs where none was missing in training: more than any value does."""


class MixedLikelihood(nn.Module):
    """A row's columns, each of its own family: Gaussian numbers, Bernoulli booleans, categorical categories.

    The scale of a number is learned, one a column; or one that the decoder gives for each row and column. A number may
    also be of Student's t, whose degrees of freedom are learned, one a column, in one of the cells of a histogram, or a
    count. Whether a column with gaps has a value is `modelled`, or taken as given.
    """

    planes = 1

    def __init__(
        self,
        layout: Layout,
        scale: Literal["learned_per_column", "per_element"],
        modelled: bool = False,
        heavy: bool = False,
        cells: Sequence[Tensor] = (),
        counts: CountColumns | None = None,
    ) -> None:
        """`heavy`: numbers are of Student's t. `cells` are those of each column of a histogram, scaled: `Cells`."""
        super().__init__()
        self.layout, self.kind, self.modelled = layout, scale, modelled and bool(layout.gaps)
        numbers, booleans = len(layout.of("number")), len(layout.of("boolean"))
        gaps = len(layout.gaps) if self.modelled else 0
        self.cells, self.counts = Cells(cells), counts
        own = numbers if scale == "per_element" else 0
        counted = 0 if counts is None else counts.outputs
        self.parts = [numbers, own, booleans, gaps, self.cells.met.numel(), counted, *layout.category_sizes]
        if scale == "learned_per_column" and numbers:
            self.log_scale = nn.Parameter(torch.zeros(numbers))
        self.log_excess = nn.Parameter(torch.full((numbers,), FIRST_EXCESS)) if heavy and numbers else None

    @property
    def outputs(self) -> int:
        """Numbers that it wants of a decoder."""
        return sum(self.parts)

    def forward(self, output: Float[Tensor, "*batch planes outputs"]) -> "RowDistribution":
        """p(x|z)."""
        rows = output.squeeze(-2)
        filled = iter(rows.split([part for part in self.parts if part], -1))  # MNN dies of an empty part
        mean, log_scale, logits, presence = [
            next(filled) if part else rows.detach()[..., :0] for part in self.parts[:4]
        ]
        shares = next(filled) if self.parts[4] else None
        counts = None if self.counts is None else self.counts(next(filled))
        log_odds = list(filled)
        own = self.kind == "per_element" or not self.parts[0]
        scale = floored(log_scale if own else self.log_scale)
        degrees = None if self.log_excess is None else degrees_of(self.log_excess)
        histogram = None if shares is None else self.cells(shares.unflatten(-1, self.cells.met.shape))
        there = presence if self.modelled else None
        return RowDistribution(self.layout, mean, scale, logits, log_odds, there, degrees, histogram, counts)

    def measure(self, binary: bool) -> Measure:  # noqa: ARG002 (every likelihood is asked the same)
        """The kind of the numbers."""
        return "density" if self.parts[0] or self.parts[4] else "mass"

    def figures(self) -> dict[str, float]:
        """None: a scale a column is no one figure."""
        return {}

    def independent(self, train: Values, test: Values) -> float:
        """The baseline is each column's mean and scale, or its shares, each with half a value added."""
        layout, rows = self.layout, torch.from_numpy(np.concatenate([*train]))
        values, present = rows.unbind(1)
        count = present.sum(0)
        mean = (values * present).sum(0) / count
        scale = (((values - mean).square() * present).sum(0) / count).sqrt().clamp_min(math.exp(LEAST_LOG_SCALE))
        odds = ((values.sum(0) + 0.5) / (count + 1)).logit()
        log_odds = [
            (
                (one_hot(pool.class_of(values[:, index].float()), pool.classes + 1) * present[:, index, None]).sum(0)
                + 0.5
            ).log()
            for index, pool in layout.categories
        ]
        numbers, booleans = layout.of("number"), layout.of("boolean")
        presence = ((count + 0.5) / (len(values) + 1)).logit()[layout.gaps] if self.modelled else None
        centre, spread, degrees = mean[numbers], scale[numbers], None
        if self.log_excess is not None:
            columns = (values[present[:, index] > 0, index, None].numpy() for index in numbers)
            found = [(*each.location, each.scale, each.degrees) for each in map(fitted, columns)]
            centre, spread, degrees = torch.tensor(found, dtype=torch.float64).unbind(1)
        histogram = None
        if told := layout.of("histogram"):
            histogram = self.cells(self.cells.log_shares(values[:, told], present[:, told]))
        counts = None
        if self.counts is not None:
            counts = self.counts.independent(layout.take(values, "count"), layout.take(present, "count"))
        independent = RowDistribution(
            layout, centre, spread, odds[booleans], log_odds, presence, degrees, histogram, counts
        )
        return float(independent.log_prob(torch.from_numpy(np.concatenate([*test]))).mean())


class RowDistribution(ObservedDistribution):
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
        degrees: Float[Tensor, " numbers"] | None = None,
        histogram: Histogram | None = None,
        counts: CountRows | None = None,
    ) -> None:
        """`scale` is one a number, or one an element; `log_odds` are logits of each category's classes.

        `presence` are logits that there is a value, of the columns with gaps; None where that is taken as given.
        `degrees` are those of Student's t; None where numbers are Gaussian. `histogram` is of numbers that have cells.
        """
        self.layout, self.scale, self.logits, self.rank = layout, scale, logits, 1
        self.numbers = _Gaussian(mean, scale) if degrees is None else StudentT(degrees, mean, scale)
        self.presence, self.histogram, self.counts = presence, histogram, counts
        self.log_probabilities = [each.log_softmax(-1) for each in log_odds]
        super().__init__(mean.shape[:-1], torch.Size([2, len(layout.kinds)]), validate_args=False)

    @property
    def mean(self) -> Tensor:
        """[..., columns]: a number's mean, the probability of a boolean, and a category's likeliest class.

        Counts are those of a row of the mean total, where totals are taken as given.
        """
        classes = [
            pool.likeliest(pool.with_share(each).argmax(-1, keepdim=True).float())
            for (_, pool), each in zip(self.layout.categories, self.log_probabilities, strict=True)
        ]
        cells = [] if self.histogram is None else [self.histogram.mean]
        if self.counts is not None:
            cells.append(self.counts.typical().mean)
        return self.layout.in_place([self.numbers.mean, *cells, self.logits.sigmoid(), *classes])

    def expected(self, present: Float[Tensor, "*batch columns"]) -> Float[Tensor, "*batch 2 columns"]:
        """Means and likeliest classes, and 1 where a value is likelier than none; as `present` says, if it's given."""
        there = present if (told := self.presence) is None else self.layout.among_all((told > 0).float(), 1.0)
        return torch.stack([self.mean * there, there], -2)

    def log_prob_by_element(self, value: Float[Tensor, "*rows 2 columns"]) -> Float[Tensor, "*batch columns"]:
        """log p of each column's value."""
        values, present = value.unbind(-2)
        layout = self.layout
        numbers, booleans = layout.take(values, "number"), layout.take(values, "boolean")
        cells = [] if self.histogram is None else [self.histogram.log_prob(layout.take(values, "histogram"))]
        if self.counts is not None:
            counted = layout.take(values, "count")
            cells.append(self.counts.of(counted, layout.take(present, "count")).log_prob(counted))
        found = [
            self.numbers.log_prob(numbers),
            *cells,
            booleans * self.logits - nn.functional.softplus(self.logits),
        ]
        for (index, pool), each in zip(layout.categories, self.log_probabilities, strict=True):
            found.append(_log_prob(values[..., index], pool, each))
        return layout.in_place(found) * present + self._presence(present) - self._never(value)

    def log_prob_expected(self, value: Float[Tensor, "*rows 2 columns"]) -> Float[Tensor, "*batch columns"]:
        """log p of a number where it is likeliest, of a boolean that is sure and of the likeliest category.

        A gap is 0. Whether a value is there is as sure as can be, and one that never was missing is there.
        """
        layout, (values, present) = self.layout, value.unbind(-2)
        numbers = self.numbers.log_prob(self.numbers.mean)
        classes = [
            pool.with_share(each).amax(-1, keepdim=True)
            for (_, pool), each in zip(layout.categories, self.log_probabilities, strict=True)
        ]
        cells = [] if self.histogram is None else [self.histogram.log_prob_expected()]
        if self.counts is not None:
            counts = self.counts.of(layout.take(values, "count"), layout.take(present, "count"))
            cells.append(counts.log_prob_expected())
        return layout.in_place([numbers, *cells, torch.zeros_like(self.logits), *classes]) * present

    def _presence(self, present: Float[Tensor, "*rows columns"]) -> Tensor:
        """Log-probability that a value is there, or isn't: of each column, or 0 of all."""
        if self.presence is None:
            return torch.zeros(())
        told = columns(present, self.layout.gaps) * self.presence - nn.functional.softplus(self.presence)
        return self.layout.among_all(told, 0.0)

    def unheard_of(self, value: Float[Tensor, "*rows 2 columns"]) -> Float[Tensor, "*rows"]:
        """Nats of the values that are missing, and never were in training."""
        return self._never(value).sum(value.ndim - 2)

    def _never(self, value: Float[Tensor, "*rows 2 columns"]) -> Float[Tensor, "*rows columns"]:
        never = value.new_tensor([0.0 if may else UNHEARD_OF for may in self.layout.missing])
        return (1 - value[..., 1, :]) * never

    def squared_error_by_element(self, value: Float[Tensor, "*rows 2 columns"]) -> Float[Tensor, "*batch columns"]:
        """The squared distance: a number's scaled one, a boolean's and a category's of its probability from 1.

        Of counts it is that of 2 sqrt(x + 3/8), whose variance is nearly 1 (Anscombe, 1948).
        """
        values, present = value.unbind(-2)
        layout = self.layout
        told = self.histogram
        cells = [] if told is None else [(layout.take(values, "histogram") - told.mean).square()]
        if self.counts is not None:
            counted = layout.take(values, "count")
            expected = self.counts.of(counted, layout.take(present, "count")).mean
            cells.append(4 * ((counted + 0.375).sqrt() - (expected + 0.375).sqrt()).square())
        found = [
            (layout.take(values, "number") - self.numbers.mean).square(),
            *cells,
            (layout.take(values, "boolean") - self.logits.sigmoid()).square(),
        ]
        for (index, pool), each in zip(layout.categories, self.log_probabilities, strict=True):
            found.append((1 - _log_prob(values[..., index], pool, each).exp()).square())
        return layout.in_place(found) * present + self._never(value)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Rows with every value present."""
        with torch.no_grad():
            shape = torch.Size([*sample_shape, *self.batch_shape])
            numbers = self.numbers.sample(torch.Size(sample_shape))
            booleans = torch.bernoulli(self.logits.sigmoid().expand(*shape, -1))
            classes = []
            for (_, pool), each in zip(self.layout.categories, self.log_probabilities, strict=True):
                chosen = Categorical(logits=each).sample(torch.Size(sample_shape)).float()
                even = torch.rand(chosen.shape, device=chosen.device) if pool.shares else chosen
                classes.append(pool.drawn(chosen, even).unsqueeze(-1))
            cells = [] if self.histogram is None else [self.histogram.sample(torch.Size(sample_shape))]
            if self.counts is not None:
                total = self.counts.total(torch.rand(*shape, 1, device=numbers.device))
                cells.append(self.counts.drawn(total).sample(() if total is not None else sample_shape))
            values = self.layout.in_place([numbers, *cells, booleans, *classes])
            return torch.stack([values, torch.ones_like(values)], -2)


def _log_prob(codes: Float[Tensor, "*rows"], pool: Pool, log_probability: Float[Tensor, "*batch classes"]) -> Tensor:
    """Log p of each code of a category, [..., 1]."""
    chosen = one_hot(pool.class_of(codes), log_probability.shape[-1]) > 0
    # Not a product: where a runtime's softmax comes to 0, its logarithm times 0 is none.
    found = torch.where(chosen, log_probability, torch.zeros_like(log_probability)).sum(-1, keepdim=True)
    return found + pool.log_share(codes).unsqueeze(-1) if pool.shares else found


class _Gaussian(Distribution):
    """Independent Gaussian numbers; their scale may be spread over them."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        self._mean, self.scale = mean, scale
        super().__init__(mean.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """E[x]."""
        return self._mean

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of each number."""
        away = (value - self._mean) / self.scale
        return -0.5 * (away.square() + math.log(2 * math.pi)) - self.scale.log()

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """mean + scale * noise."""
        return self._mean + self.scale * torch.randn(*sample_shape, *self._mean.shape).to(self._mean)
