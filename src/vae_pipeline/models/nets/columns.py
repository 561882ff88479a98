"""The first layer of a table's encoder: scaled rows become what a network takes in."""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.kinds.spec import CLIP
from vae_pipeline.models.nets.dense import DenseEncoder
from vae_pipeline.models.nets.pool import Pool
from vae_pipeline.recipe.section import Activation


class ColumnEncoder(nn.Module):
    """Rows [2, columns] of scaled values and of a mask (1: present) to features.

    A category goes in as one of the classes of its values, a code beyond them as none; a pool without values is of a
    column that is no category. A value that is missing is 0; where that is to be expected, a flag says so. A number
    goes in as far as ±`CLIP`: how far beyond it lies is for the likelihood to tell. A count isn't scaled yet: it goes
    in as log(1 + x), less that of its mean, over the deviation that this has by the delta method.
    """

    middle: Tensor
    spread: Tensor

    def __init__(
        self,
        pools: Sequence[Pool],
        missing: Sequence[bool],
        labels: int,
        layers: Sequence[int],
        function: Activation,
        counts: Mapping[int, tuple[float, float]] | None = None,
    ) -> None:
        """`counts` has mean and deviation of each column of counts."""
        super().__init__()
        self.categories = [(index, pool) for index, pool in enumerate(pools) if pool.values]
        self.counts = list(counts or {})
        self.plain = [index for index, pool in enumerate(pools) if not pool.values and index not in self.counts]
        self.flagged = [index for index, each in enumerate(missing) if each]
        told = list((counts or {}).values())
        self.register_buffer("middle", torch.tensor([math.log1p(mean) for mean, _ in told]), persistent=False)
        self.register_buffer("spread", torch.tensor([each / (1 + mean) for mean, each in told]), persistent=False)
        width = len(self.plain) + len(self.counts) + sum(pool.classes for pool in pools) + len(self.flagged)
        self.dense = DenseEncoder((width,), labels, layers, function)
        self.features = self.dense.features

    def forward(
        self, x: Float[Tensor, "batch 2 columns"], label: Float[Tensor, "batch classes"] | None
    ) -> Float[Tensor, "batch features"]:
        """Features; `label` is one-hot."""
        values, present = x.unbind(-2)
        codes = [
            one_hot(pool.class_of(values[:, index]), pool.classes) * present[:, index, None]
            for index, pool in self.categories
        ]
        seen = [values[:, self.plain].clamp(-CLIP, CLIP)] if self.plain else []
        if self.counts:
            counted = ((1 + values[:, self.counts]).log() - self.middle) / self.spread
            seen.append(counted.clamp(-CLIP, CLIP) * present[:, self.counts])
        features: Tensor = self.dense(torch.cat([*seen, *codes, 1 - present[:, self.flagged]], 1), label)
        return features


def one_hot(codes: Float[Tensor, "*batch"], size: int) -> Float[Tensor, "*batch {size}"]:
    """One-hot codes, by a comparison in float32, which all runtimes compute alike; zeros for a code that is none."""
    return (codes.unsqueeze(-1) == torch.arange(size, device=codes.device, dtype=torch.float32)).float()
