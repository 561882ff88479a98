"""Rules of a table's rows: what drawn rows are to meet, and what is checked and counted of them.

What a missing value leaves open is neither met nor broken. Numbers are equal within the rounding of float64.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.table.holdings import described, to_try
from vae_pipeline.kinds.table.spec import Column
from vae_pipeline.system.errors import DataError

Floats = npt.NDArray[np.float64]
Values = Mapping[str, Floats]
"""The values of columns by their names, as `exact` gives them."""
Side = Callable[[Values], Floats]
"""A number for each row."""
SAME = 1e-12
"""Relative difference of numbers that are equal."""
COMPARISONS = {
    "=": np.equal, "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater,
    ">=": np.greater_equal,
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A rule that a row by itself meets or breaks."""

    text: str
    columns: tuple[str, ...]
    verdict: Side
    """1 where it is met, 0 where it is broken, NaN where a missing value leaves it open."""
    marks: tuple[float, ...] | None = None
    """The values that one column is compared with; None of a rule that compares no column with values."""

    def met(self, values: Values) -> npt.NDArray[np.bool_]:
        """True of rows that meet it."""
        return np.asarray(self.verdict(values) == 1)


@dataclass(frozen=True)
class Unique:
    """The rule that no two rows have the same values in all of these columns; gaps are never the same."""

    text: str
    columns: tuple[str, ...]


def column_of(name: str) -> Side:
    """The values of a column."""
    return lambda values: values[name]


def constant(value: float) -> Side:
    """One number for all rows."""
    return lambda _: np.float64(value)  # type: ignore[return-value]  # it is as many as what it is compared with


def compared(operator: str, left: Side, right: Side) -> Side:
    """The verdict of a comparison."""

    def verdict(values: Values) -> Floats:
        one, other = left(values), right(values)
        with np.errstate(all="ignore"):
            apart = one - other
            alike = np.abs(apart) <= SAME * np.maximum(np.abs(one), np.abs(other))
            met = COMPARISONS[operator](np.where(alike, 0.0, apart), 0.0)
        return np.where(np.isnan(apart), np.nan, met)

    return verdict


def one_of(name: str, values: Sequence[float]) -> Side:
    """The verdict that a column has one of some values."""
    sides = [compared("=", column_of(name), constant(value)) for value in values]
    return lambda given: np.max([side(given) for side in sides], axis=0)


def missing(name: str, wanted: bool) -> Side:
    """The verdict that a column's value is missing, or that it isn't."""
    return lambda values: 1.0 * (np.isnan(values[name]) == wanted)


def recoded(column: Column, other: Column) -> Side:
    """The values of a category by the codes of another one, -1 where that hasn't the value."""
    codes = np.array([*(other.values.index(each) if each in other.values else -1 for each in column.values), -1.0])

    def side(values: Values) -> Floats:
        given = values[column.name]
        return np.where(np.isnan(given), np.nan, codes[np.nan_to_num(given).astype(int)])

    return side


def require_possible(rules: Sequence[Rule], columns: Sequence[Column]) -> None:
    """Refuse rules that no value of a column can meet at once.

    Raises:
        DataError: there are such rules.
    """
    for column in columns:
        own = [rule for rule in rules if rule.columns == (column.name,) and rule.marks is not None]
        tried = to_try(column, [mark for rule in own for mark in rule.marks or ()])
        if own and not np.logical_and.reduce([rule.met({column.name: tried}) for rule in own]).any():
            held = f"it is {described(column)}" + (", and drawn where these are" if column.cells else "")
            never = ", and never missing" if () in [rule.marks for rule in own] and not column.missing else ""
            raise DataError(f"no value of {column.name} meets {' and '.join(rule.text for rule in own)}: {held}{never}")
