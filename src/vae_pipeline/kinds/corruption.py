"""The corruption of one part of the data: its steps, and all that a row's draws depend on."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.parts import Indices
from vae_pipeline.recipe import denoise as recipe


@dataclass(frozen=True)
class Corruption:
    """Each row is corrupted by seed, part and its own number alone: neither batches, processes nor subsets matter."""

    steps: tuple[recipe.Corruption, ...]
    """Kinds and levels, in the order in which they happen."""
    low: float
    high: float
    """The range of the clean values, which is mapped to [0, 1] for the steps."""
    seed: int
    part: str
    rows: Indices
    """The number of each row in its part."""
    anew: bool
    """True if training draws it anew in every epoch."""
    target: bool
    """True if the clean observation is what a decoder is to explain, and not the corrupted one."""

    def taken(self, rows: npt.NDArray[Any]) -> "Corruption":
        """The corruption of some rows."""
        return replace(self, rows=self.rows[rows])

    @classmethod
    def of(cls, denoise: recipe.Denoise, low: float, high: float, seed: int, part: str, count: int) -> "Corruption":
        """The corruption of all rows of a part, as the recipe says."""
        supervised = denoise.mode == "supervised"
        return cls(denoise.corruption, low, high, seed, part, np.arange(count), supervised, supervised)
