"""The corruption of one part of the data: its steps, and all that a row's draws depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.audio.tape import Tape
from vae_pipeline.kinds.parts import Indices
from vae_pipeline.recipe import denoise as recipe


@dataclass(frozen=True)
class Corruption:
    """Each row is corrupted by seed, part and its own number alone: neither batches, processes nor subsets matter."""

    steps: tuple[recipe.Corruption, ...]
    """Kinds and levels, in the order in which they happen."""
    low: float
    high: float
    """The range of the clean values, which is mapped to [0, 1] for the steps; of sound 0 and 1, so that it stays."""
    seed: int
    part: str
    rows: Indices
    """The number of each row in its part."""
    anew: bool
    """True if training draws it anew in every epoch."""
    target: bool
    """True if the clean observation is what a decoder is to explain, and not the corrupted one."""
    beside: Mapping[str, Tape] = field(default_factory=dict)
    """The noises and rooms that are mixed in, by the names of their fields in the data section."""

    def taken(self, rows: npt.NDArray[Any]) -> "Corruption":
        """The corruption of some rows."""
        return replace(self, rows=self.rows[rows])

    @classmethod
    def of(
        cls,
        denoise: recipe.Denoise,
        low: float,
        high: float,
        seed: int,
        part: str,
        count: int,
        beside: Mapping[str, Tape] | None = None,
    ) -> "Corruption":
        """The corruption of all rows of a part, as the recipe says."""
        supervised = denoise.mode == "supervised"
        rows = np.arange(count)
        return cls(denoise.corruption, low, high, seed, part, rows, supervised, supervised, beside or {})
