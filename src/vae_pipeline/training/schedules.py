"""Learning-rate schedules: functions of the step alone, so that a resumed run has nothing to restore."""

import math
from typing import assert_never

from vae_pipeline.recipe.train import Train

RISING = 0.3  # one_cycle: the share of the steps in which the rate rises
LOWEST = 25.0  # one_cycle starts at 1/25 of the rate


def learning_rate_at(train: Train, step: int, steps: int) -> float:
    """The learning rate of `step`, the first being 0; its highest value is `train.learning_rate`."""
    rising = train.warm_up * steps  # the first step learns already
    return _scheduled(train, step, steps) * (min(1.0, (step + 1) / rising) if rising > 0 else 1.0)


def _scheduled(train: Train, step: int, steps: int) -> float:
    place = step / max(1, steps - 1)
    match train.schedule:
        case "constant":
            return train.learning_rate
        case "cosine":  # Loshchilov and Hutter, 2017, eq. 5, one period
            return train.learning_rate * 0.5 * (1 + math.cos(math.pi * place))
        case "one_cycle":  # Smith and Topin, 2018, with cosines for both slopes
            low = train.learning_rate / LOWEST
            if place < RISING:
                return low + (train.learning_rate - low) * 0.5 * (1 - math.cos(math.pi * place / RISING))
            return train.learning_rate * 0.5 * (1 + math.cos(math.pi * (place - RISING) / (1 - RISING)))
        case _:
            assert_never(train.schedule)
