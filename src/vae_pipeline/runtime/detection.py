"""The answers of a bundle's detector, and the alarms that they raise."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Detection:
    """A calibrated score of how anomalous each example is."""

    score: Array
    """A score of the kind that the recipe names, high where the model finds the example unlikely."""
    p_value: Array
    """Share of normal examples that are at least as anomalous: an alarm at p <= alpha is false at a rate of alpha."""
    distortion: Array
    rate: Array
    """Nats."""
    contributions: Array
    """[examples, *event]: nats of distortion of each value over what is usual of it; of an image its heat map.

    With `detection.contributions: left_out` in the recipe, nats by which each column makes its row less likely.
    """


def alarms(p_value: Array, alpha: float) -> Array:
    """Alarms: the examples over the threshold of a false-alarm rate, as exact as a graph's float32 is."""
    return np.asarray(p_value, np.float32) <= np.float32(alpha)
