"""How long a run is, and how often it is validated: the recipe's epochs or steps, made exact by the data."""

import math
from dataclasses import dataclass

from vae_pipeline.recipe.train import Train

FEWEST, MOST = 20, 100  # validations of a run whose recipe counts steps


@dataclass(frozen=True)
class Length:
    """In steps."""

    steps: int
    """Of the whole run."""
    epoch: int
    """From one validation to the next."""

    @property
    def epochs(self) -> int:
        """The last may be shorter."""
        return math.ceil(self.steps / self.epoch)

    @classmethod
    def of(cls, train: Train, a_pass: int) -> "Length":
        """The length of a run whose data are `a_pass` batches."""
        if train.steps is None:
            assert train.epochs is not None  # the section demands either
            return cls(a_pass * train.epochs, a_pass)
        fewest, most = (math.ceil(train.steps / count) for count in (MOST, FEWEST))
        return cls(train.steps, min(max(a_pass, fewest), most))
