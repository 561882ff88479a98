"""The length of a run, and of what lies between validations: the recipe's epochs or steps, made exact by the data."""

import math
from dataclasses import dataclass

from vae_pipeline.recipe.train import Train
from vae_pipeline.training.schedules import learning_rate_at

FEWEST, MOST = 20, 100  # validations of a run whose recipe counts steps
# Adam moves a weight by about the learning rate a step, so by no more than the sum of the rates in all. In trials with
# four sets of images (docs/log.md) sums of 0.05 to 0.15 left three under the independent baseline, and 0.5 neither of
# the two that were tried at it.
LEAST, ENOUGH = 0.5, 1.0


@dataclass(frozen=True)
class Length:
    """The length of a run, in steps."""

    steps: int
    """Steps of the whole run."""
    epoch: int
    """Steps from one validation to the next."""

    @property
    def epochs(self) -> int:
        """The number of epochs, of which the last may be shorter."""
        return math.ceil(self.steps / self.epoch)

    @classmethod
    def of(cls, train: Train, a_pass: int) -> "Length":
        """The length of a run whose data are `a_pass` batches."""
        if train.steps is None:
            assert train.epochs is not None  # the section demands either
            return cls(a_pass * train.epochs, a_pass)
        fewest, most = (math.ceil(train.steps / count) for count in (MOST, FEWEST))
        return cls(train.steps, min(max(a_pass, fewest), most))


def too_short(train: Train, steps: int) -> str | None:
    """Say why a run has too few steps, and how many would do; None for one that can have learned."""
    shown = 1000  # the schedules' shape doesn't depend on the number of steps
    rate = sum(learning_rate_at(train, step, shown) for step in range(shown)) / shown
    if steps * rate >= LEAST:
        return None
    enough = math.ceil(ENOUGH / rate)
    return (
        f"{steps:,} steps are too few: at a learning rate of {rate:.2g} on average they move a weight by "
        f"{steps * rate:.2g} at most, and models learned from {LEAST} on; give train.steps: {enough}"
    )
