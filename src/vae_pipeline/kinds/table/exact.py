"""Values that a model gave in float32, as the data would write them; numpy alone."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.table.cells import DECIMALS
from vae_pipeline.kinds.table.spec import Column

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
DAY_S = 86400


def exact(values: npt.NDArray[Any], column: Column) -> Floats:
    """A column's values in the data's units as a file has them, NaN where one is missing.

    Numbers are multiples of their step, or have the fewest digits that tell a float32 from its neighbours; dates are
    days since 1970, to the second; booleans are 0 or 1 and categories their codes.
    """
    found = values.astype(np.float64)
    match column.kind:
        case "number" if column.step and column.extent is not None:
            return stepped(found, column)[0]
        case "number" if not column.offset:
            return shortest(found)
        case "date":
            return np.rint(found * DAY_S) / DAY_S
        case _:
            return found


def stepped(values: Floats, column: Column) -> tuple[Floats, int]:
    """Numbers as multiples of their column's step, and the decimals that all of them are written with.

    The least value was rounded to float32: it is the nearest number of so few decimals.
    """
    assert column.extent is not None  # whatever has a step has numbers
    least = column.extent[0] + column.offset
    rounding = abs(column.extent[0]) * 2.0**-23 + 1e-9 * max(1.0, abs(least))
    decimals = next(
        count for count in range(DECIMALS + 1)
        if (abs(column.step - round(column.step, count)) <= 1e-9 * max(1.0, column.step)
            and abs(least - round(least, count)) <= rounding)
        or count == DECIMALS
    )  # fmt: skip
    least = round(least, decimals)
    return (least + np.rint((values - least) / column.step) * column.step).round(decimals), decimals


def shortest(values: Floats) -> Floats:
    """Numbers of float32 with as few digits as tell them from their neighbours."""
    return np.asarray(values.astype(np.float32).astype(str).astype(np.float64))
