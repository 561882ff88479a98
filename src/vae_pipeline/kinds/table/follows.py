"""Columns whose values follow from those of others, and rows in which they do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Follows:
    """A column whose value followed, in each row of the training part, from those of other columns.

    It is a sum, constant + weights · values, or what `known` gives of the code of the one column that it follows from.
    """

    column: str
    of: tuple[str, ...]
    """Columns that follow from none."""
    constant: float = 0.0
    weights: tuple[float, ...] = ()
    known: tuple[tuple[float, float], ...] = ()
    """The code of the other column, and this one's value; codes rise."""

    @property
    def told(self) -> str:
        """A sentence for a reader."""
        return f"column {self.column} follows from {' and '.join(self.of)} in every row, and is drawn so"


def followed(rows: Array, names: Sequence[str], follows: Sequence[Follows]) -> Array:
    """Rows [rows, columns] in the data's units, in which columns have the values that follow from the others'."""
    if not follows:
        return rows
    found = rows.astype(np.float64)
    for each in follows:
        values = found[:, [names.index(name) for name in each.of]]
        if each.known:
            codes, answers = np.array(each.known).T
            place = np.searchsorted(codes, values[:, 0]).clip(max=len(codes) - 1)
            given = np.where(codes[place] == values[:, 0], answers[place], found[:, names.index(each.column)])
        else:
            given = each.constant + values @ np.array(each.weights)
        found[:, names.index(each.column)] = given
    return found
