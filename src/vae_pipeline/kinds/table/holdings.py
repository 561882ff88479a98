"""The content of a table's column: in words, and as values to try."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.table.exact import exact
from vae_pipeline.kinds.table.records import MOST
from vae_pipeline.kinds.table.spec import Column

Floats = npt.NDArray[np.float64]
SHOWN = 8
"""Values that are listed."""


def described(column: Column) -> str:
    """The kind of a column, and what it holds, in words."""
    match column.kind:
        case "category":
            return f"a category, of {listed(column.values)}"
        case "boolean":
            return "a boolean, true or false"
    if column.extent is None:
        return f"a {column.kind}"
    low, high = exact(np.array(column.extent) + column.offset, column)
    if column.kind == "date":
        return f"a date, from {np.datetime64(int(low), 'D')} to {np.datetime64(int(high), 'D')} in training rows"
    return f"a number, from {low:.10g} to {high:.10g} in training rows"


def listed(names: Collection[str]) -> str:
    """The first of some names, and how many there are beside."""
    beside = len(names) - SHOWN
    return ", ".join(list(names)[:SHOWN]) + (f" and {beside} more" if beside > 0 else "")


def nearest(name: str, names: Collection[str], least: float = 0.5) -> str:
    """The name that is most like another, as a question; empty where none is, of a likeness from 0 to 1."""
    close = get_close_matches(name.lower(), [each.lower() for each in names], 1, least)
    found = next((each for each in names if close and each.lower() == close[0]), None)
    return "" if found is None else f": did you mean {found!r}?"


def to_try(column: Column, marks: Iterable[float]) -> Floats:
    """Values that a drawn column can have, NaN where one may be missing: of numbers those near the marks.

    What is said of numbers by comparing them with the marks alone holds for some value if it holds for one of these.
    """
    if column.kind == "category":
        found = np.arange(len(column.values), dtype=np.float64)
    elif column.kind == "boolean":
        found = np.array([0.0, 1.0])
    else:
        found = _numbers(column, marks)
    return np.append(found, np.nan) if column.missing else found


def _numbers(column: Column, marks: Iterable[float]) -> Floats:
    cells = np.array(column.cells).reshape(-1, 2) + column.offset
    edges = sorted({*marks, *cells.ravel().tolist(), *(edge + column.offset for edge in column.extent or ())})
    if not edges:
        return np.array([0.0])
    beyond = [edges[0] - max(1.0, abs(edges[0])), edges[-1] + max(1.0, abs(edges[-1]))]
    found = np.array([*edges, *((low + high) / 2 for low, high in pairwise(edges)), *beyond])
    if column.step and column.extent is not None:
        least = column.extent[0] + column.offset
        steps = (np.concatenate([found - column.step / 2, found, found + column.step / 2]) - least) / column.step
        found = least + np.rint(steps) * column.step
    found = exact(found[np.abs(found) <= MOST], column)
    if len(cells):
        near = 1e-6 * np.maximum(1.0, np.abs(found[:, None]))
        found = found[((found[:, None] >= cells[:, 0] - near) & (found[:, None] <= cells[:, 1] + near)).any(1)]
    return found
