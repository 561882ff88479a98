"""Raw observations to scaled ones and back; part of the model, and so of every exported graph."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from vae_pipeline.kinds.spec import TableSpec
from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.models.sound.view import SpectrogramScaling

FAR = 1e30
"""Scaled units beyond the last knot, from which on all are alike."""


class Scaling(nn.Module):
    """Raw values in [low, high] to [0, 1] and back."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.width = low, high - low

    def forward(self, x: Shaped[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Values in [0, 1]."""
        shifted = x.float() if self.low == 0 else x.float() - self.low
        return shifted if self.width == 1 else shifted * (1 / self.width)

    def inverse(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Values in [low, high]."""
        return x * self.width + self.low


class TableScaling(nn.Module):
    """Raw columns, NaN where a value is missing, to scaled ones with a mask of those that are present.

    A column's scaling is made of straight lines between its knots (raw, scaled), and logarithmic beyond them: so what
    is farther out is told from what is far, and doesn't outweigh all else. `inverse` ends at the knots.
    """

    raw: Tensor
    scaled: Tensor
    unit: Tensor
    zero: Tensor
    chosen: Tensor

    def __init__(self, knots: Sequence[Sequence[tuple[float, float]]], counts: Sequence[int] = ()) -> None:
        """`counts` are columns whose values stay as they are, which their likelihood asks for."""
        super().__init__()
        self.counts = list(counts)
        most = max(len(column) for column in knots)
        # A column with fewer knots repeats its last one: segments of no width.
        filled = torch.tensor(
            [[*column, *[column[-1]] * (most - len(column))] for column in knots], dtype=torch.float32
        )
        self.register_buffer("raw", filled[..., 0], persistent=False)
        self.register_buffer("scaled", filled[..., 1], persistent=False)
        spans = filled[:, -1] - filled[:, 0]
        self.register_buffer("unit", spans[:, 0] / spans[:, 1], persistent=False)
        self.register_buffer("zero", torch.zeros(()), persistent=False)
        chosen = torch.arange(len(knots))
        chosen[self.counts] += len(knots)
        self.register_buffer("chosen", chosen, persistent=False)

    @classmethod
    def of(cls, spec: TableSpec) -> "TableScaling":
        """The scaling of a table's columns."""
        counts = [index for index, column in enumerate(spec.columns) if column.name in spec.counts]
        return cls([column.knots for column in spec.columns], counts)

    def forward(self, x: Shaped[Tensor, "*batch columns"]) -> Float[Tensor, "*batch 2 columns"]:
        """Scaled values, 0 where one is missing; and 1 where one is present, else 0."""
        present = x <= torch.finfo(torch.float32).max  # not of NaN; MNN has no IsNaN
        known = torch.where(present, x.float(), self.zero)
        over, under = ((away / self.unit).clamp(0.0, FAR) for away in (known - self.raw[:, -1], self.raw[:, 0] - known))
        values = _mapped(known, self.raw, self.scaled) + (1 + over).log() - (1 + under).log()
        values = self._but_counts(values, known)
        return torch.stack([torch.where(present, values, self.zero), present.float()], -2)

    def inverse(self, x: Float[Tensor, "*batch columns"]) -> Float[Tensor, "*batch columns"]:
        """Raw values of scaled ones."""
        return self._but_counts(_mapped(x, self.scaled, self.raw), x)

    def _but_counts(self, values: Tensor, counts: Tensor) -> Tensor:
        if not self.counts:
            return values
        # Gather: where counts and others are products with a mask of columns, OpenVINO gives wrong classes.
        return torch.cat([values, counts], -1).index_select(-1, self.chosen)


def _mapped(
    x: Float[Tensor, "*batch columns"], given: Float[Tensor, "columns knots"], wanted: Float[Tensor, "columns knots"]
) -> Float[Tensor, "*batch columns"]:
    """y_0 + Σ_k slope_k clamp(x - x_k, 0, x_(k+1) - x_k)."""
    width, rise = (knots[:, 1:] - knots[:, :-1] for knots in (given, wanted))
    none = torch.zeros_like(width)
    slope = torch.where(width > 0, rise / torch.where(width > 0, width, none + 1), none)
    inside = torch.minimum((x.unsqueeze(-1) - given[:, :-1]).clamp_min(0), width)
    # y_0 is added before the sum: after it, OpenVINO gives all rows but the first those of other columns.
    return (inside * slope + torch.cat([wanted[:, :1], none[:, 1:]], 1)).sum(-1)


AnyScaling = Scaling | TableScaling | SpectrogramScaling | FeatureScaling


def resounded(scaling: AnyScaling, values: Tensor, x: Tensor) -> Tensor:
    """Raw values of scaled ones that stand for raw `x`, whose phases they have where scaled values have none."""
    return scaling.resounded(values, x) if isinstance(scaling, SpectrogramScaling) else scaling.inverse(values)
