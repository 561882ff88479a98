"""How far a graph's answer is from the one that was wanted, by one measure for all that compare."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def differences(output: str, given: Array, wanted: Array, width: float) -> tuple[float, float]:
    """The largest |given - wanted|, and the largest |given - wanted| / (unit + |wanted|).

    The unit is 1; of `x_mean`, which is in the data's units, it is the `width` of the data's range.
    """
    apart = np.abs(given.astype(np.float64) - wanted.astype(np.float64))
    unit = width if output == "x_mean" else 1.0
    return float(apart.max()), float((apart / (unit + np.abs(wanted))).max())
