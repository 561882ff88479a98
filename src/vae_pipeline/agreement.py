"""How far a graph's answer is from the one that was wanted, by one measure for all that compare."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Unit = float | tuple[float, ...]
"""What differences in the data's units are relative to: a number, or one a column."""


def differences(output: str, given: Array, wanted: Array, unit: Unit) -> tuple[float, float]:
    """The largest |given - wanted|, and the largest |given - wanted| / (unit + |wanted|).

    The unit is 1; of `x_mean`, which is in the data's units, it is the spec's: of images the width of their range, of
    a table's columns one scaled unit each.
    """
    apart = np.abs(given.astype(np.float64) - wanted.astype(np.float64))
    own = np.asarray(unit) if output == "x_mean" else 1.0
    return float(apart.max()), float((apart / (own + np.abs(wanted))).max())
