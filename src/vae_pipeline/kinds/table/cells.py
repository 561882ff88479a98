"""The cells that a column's numbers are sorted into, and the step between values that can occur.

A value that is frequent has a cell of its own, so that a number that is nought in nine rows of ten, a round price or a
working week of 40 hours is told as what it is; what lies between is cut at quantiles, and more finely in its tails.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Cell = tuple[float, float]
"""The least and the greatest value of the training part that lie in it; equal where it is one value."""
DAY = (1.0, 1 / 24, 1 / 1440, 1 / 86400)
DECIMALS = 6
FINEST = 2**22  # steps in the spread of a column: float32 tells them apart
ROWS = 8  # in a cell, where there are many: of fewer, a share is little more than chance
Core = tuple[float, float, float, float]
"""The end of a cell's core, the cell's least and greatest value, and the other end, rising."""


def step_of(values: Floats, dates: bool) -> float:
    """The greatest unit of which all differences of values are multiples; 0 where there is none that float32 can tell.

    Units are decimal, and of `dates` days, hours, minutes or seconds; that of one value of
    so few decimals is 1.
    """
    least = values.min()
    away = np.unique(values - least)[1:]
    if not len(away):
        return float(round(least, DECIMALS) == least)
    for unit in DAY if dates else 10.0 ** -np.arange(DECIMALS + 1):
        counts = np.rint(away / unit)
        if (np.abs(away - counts * unit) <= 1e-9 * np.maximum(np.abs(values).max(), 1e-3 * unit)).all():
            step = float(np.gcd.reduce(counts.astype(np.int64)) * unit) if counts[-1] < 2**53 else 0.0
            return step if step and away[-1] / step <= FINEST else 0.0
    return 0.0


def cells_of(values: npt.NDArray[np.float32], most: int) -> tuple[Cell, ...]:
    """The cells of a column's values, rising; about `most` of them, and fewer where values are few.

    Their edges lie half-way between the values of one and of the next, so that no value is on an edge.
    """
    found, counts = np.unique(values.astype(np.float64), return_counts=True)
    most = min(most, max(4, len(values) // ROWS))
    if len(found) <= most:
        return tuple((value, value) for value in found.tolist())
    frequent = counts >= len(values) / most
    between = np.where(frequent, 0, counts)
    rows, count = between.sum(), max(1, most - int(frequent.sum()))
    tail = [1 / count]
    while rows * tail[-1] / 2 >= ROWS:
        tail.append(tail[-1] / 2)
    cuts = np.array([*tail[:0:-1], *(np.arange(1, count) / count), *(1 - share for share in tail[1:])])
    group = np.searchsorted(cuts, (between.cumsum() - between / 2) / rows)
    first = np.ones(len(found), bool)
    first[1:] = (group[1:] != group[:-1]) | frequent[1:] | frequent[:-1]
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(found)) - 1
    return tuple(zip(found[starts].tolist(), found[ends].tolist(), strict=True))


def cores_of(cells: Sequence[Cell], step: float) -> tuple[Core, ...]:
    """The cells with their cores: a core reaches half its values' width beyond them, and half the resolution at least.

    The resolution is the step. Without one it's the distance of values in the narrowest cell that holds `ROWS` of them,
    or the least distance of two cells where each holds one value. A value that is far from the next so has a narrow
    core, and leaves the gap between them.
    """
    widths = [high - low for low, high in cells if high > low]
    gaps = [low - high for (_, high), (low, _) in pairwise(cells)]
    resolution = step or (min(widths) / ROWS if widths else min(gaps, default=1.0))
    reaches = [max(high - low, resolution) / 2 for low, high in cells]
    return tuple((low - reach, low, high, high + reach) for (low, high), reach in zip(cells, reaches, strict=True))
