"""TableSpec: the columns of a table, as a model must know them."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.stored import StoredSpec
from vae_pipeline.kinds.table.follows import Follows, followed
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
ANOMALIES = ("normal", "anomaly")
"""The classes of a table whose labels say what is to be detected."""
CLIP = 10.0
"""Scaled units, up to which the scaling of numbers is made of straight lines."""
MISSING = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
))  # fmt: skip
"""Fields of a text of rows that stand for a missing value, as pandas has them."""
MOST_VALUES = 256
"""The values of a category that are all told apart."""
SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".npz", ".jsonl")
"""The ends of the names of files that hold tables."""
ColumnKind = Literal["number", "boolean", "category", "date"]


def is_table(path: Path) -> bool:
    """True if the name is that of a table."""
    return path.name.lower().endswith(SUFFIXES)


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    kind: ColumnKind
    """A date is a number too, of days since 1970; a boolean is 0 or 1, a category the index of its value."""
    missing: bool
    """True if values may be missing; they are NaN."""
    knots: tuple[tuple[float, float], ...]
    """Points that pin the scaling, (raw, scaled), rising in both; straight lines between, logarithms beyond."""
    values: tuple[str, ...] = ()
    """The values of a category that occur in the training part. Any other is one class more, index len(values)."""
    pooled: tuple[float, ...] = ()
    """Shares of the last ones of `values` among themselves: a model tells them as one class, by these shares."""
    written: str = ""
    """The form of its texts: a date's format, as strptime has it, where that isn't ISO 8601; the sign beside a
    number (`%`, `$`), or `duration` (hours, minutes and seconds; the number is of seconds)."""
    offset: float = 0.0
    """A number taken off each value, in float64, before it becomes a float32, where 1e9 + 1 is 1e9. Rows on disk, knots
    and graphs have values less their offset; what people give and get has nothing taken off."""
    step: float = 0.0
    """The distance of which all differences of numbers or dates are multiples; 0 where there is none."""
    extent: tuple[float, float] | None = None
    """The least and the greatest number or date of the training part, less the offset."""
    cells: tuple[tuple[float, float], ...] = ()
    """The least and the greatest value of each cell that numbers or dates are sorted into, less the offset."""

    @property
    def unit(self) -> float:
        """Raw distance that one scaled unit spans, on average."""
        (low, first), (high, last) = self.knots[0], self.knots[-1]
        return (high - low) / (last - first)


def centre(x: Array, columns: Sequence[Column]) -> npt.NDArray[np.float32]:
    """Rows less their columns' offsets, which float64 takes off before float32 rounds; infinite over 3e38."""
    with np.errstate(over="ignore"):
        return (x.astype(np.float64) - [column.offset for column in columns]).astype(np.float32)


@dataclass(frozen=True)
class CsvFormat:
    """The form of a text file of rows; a field is None where it is found in each file."""

    separator: str | None = None
    quote: str | None = None
    encoding: str | None = None
    """Python's name for it. A file that is UTF-8, or begins with a byte-order mark, is read as what it is."""
    header: bool | None = None
    """True if the first row names the columns."""
    comment: str | None = None
    """The beginning of a line that is no row."""
    decimal: str | None = None
    thousands: str | None = None
    """The mark that groups them; empty for none."""
    names: tuple[str, ...] | None = None
    """The names of the columns, of a file without a header; None where they are x0, x1, ..."""


@dataclass(frozen=True)
class TableSpec(StoredSpec):
    """Rows of a table as they lie on disk: [columns] of float32, unscaled, less offsets, NaN where one is missing."""

    columns: tuple[Column, ...]
    ignored: tuple[str, ...]
    """Columns that the source holds and the model doesn't see: the label, and what the recipe leaves out."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; `normal` and `anomaly`, or empty where there are none."""
    dtype: str = "float32"
    kind: str = "table"
    csv: CsvFormat = CsvFormat()
    """The form of the file that the model was made of: where another leaves it open, it is taken to be the same."""
    absent: tuple[str, ...] = ()
    """Texts that stand for a missing value, beside an empty one, NA, null and their like."""
    counts: tuple[str, ...] = ()
    """Numbers that are counts: whole, and 0 or more."""
    totals: tuple[float, ...] = ()
    """Quantiles, at even distances, of the sum of all counts of a row of the training part."""
    follows: tuple[Follows, ...] = ()
    """Columns whose values follow from others'; drawn rows are made to keep to it."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; a table without counts is as it was before there were any, as is what follows."""
        values = super().to_dict()
        later = (*(() if self.counts else ("counts", "totals")), *(() if self.follows else ("follows",)))
        return {key: each for key, each in values.items() if key not in later}

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return (len(self.columns),)

    @property
    def dimensions(self) -> int:
        """Number of values in one observation."""
        return len(self.columns)

    @property
    def offsets(self) -> tuple[float, ...]:
        """The number that is taken off the values of each column."""
        return tuple(column.offset for column in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values of an observation: those of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def binary(self) -> bool:
        """True if two values alone occur, so that a Bernoulli likelihood is a true probability: columns say it each."""
        return False

    @property
    def suffix(self) -> str:
        """The suffix of the files in which a person looks at observations."""
        return ".csv"

    @property
    def largest(self) -> int:
        """The most numbers that a graph computes of one observation in one place."""
        return self.dimensions

    @property
    def tells_anomalies(self) -> bool:
        """True if labels always say what is normal."""
        return True

    @property
    def unit(self) -> tuple[float, ...]:
        """The width that differences of each column's values are taken relative to."""
        return tuple(column.unit for column in self.columns)

    def checked(self, x: Array, first: int, centred: bool) -> Array:
        """Rows in float32, less their columns' offsets where they aren't `centred` yet; they are counted from `first`.

        A gap is NaN, and a category's unknown values have the code after the last.

        Raises:
            DataError: they hold values that can't occur.
        """
        with np.errstate(over="ignore"):  # becomes infinite, and is refused
            rows = (x if centred else centre(x, self.columns)).astype(np.float32)
        missing = np.isnan(rows)
        if missing.all(axis=1).any():
            raise DataError(f"row {first + int(missing.all(axis=1).argmax())} holds no value at all: leave it out")
        for index, column in enumerate(self.columns):
            values = rows[~missing[:, index], index]
            if missing[:, index].any() and not column.missing:
                raise DataError(
                    f"column {column.name} lacks a value in row {first + int(missing[:, index].argmax())}, as no row "
                    "did that the model was made of: fill it in, or train on rows that lack it"
                )
            if np.isinf(values).any():
                raise DataError(f"column {column.name} holds infinity, or numbers over 3e38: clean it first")
            if column.name in self.counts:
                require_counts(column.name, rows[:, index], np.arange(first, first + len(rows)))
            most = {"boolean": 1, "category": len(column.values)}.get(column.kind)
            if most is not None and not np.isin(values, np.arange(most + 1)).all():
                raise DataError(f"column {column.name} is a {column.kind}: whole numbers from 0 to {most} are wanted")
        return np.ascontiguousarray(rows)

    def natural(self, x: Array) -> Array:
        """A graph's answer in the data's own units; float64 where offsets ask for it."""
        return x.astype(np.float64) + self.offsets if any(self.offsets) else x

    def drawn(self, x: Array) -> Array:
        """Rows that a graph drew in the data's own units, whose columns keep to what follows."""
        return followed(self.natural(x), self.names, self.follows)

    def metadata(self) -> dict[str, Any]:
        """A graph's metadata on raw values."""
        return {"vae.columns": {column.name: column.kind for column in self.columns}}

    def _validate(self) -> None:
        if not self.columns or self.dtype != "float32" or self.kind != "table":
            raise ValueError(f"{len(self.columns)} columns, dtype {self.dtype!r}; wanted some, of float32")
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError(f"columns are {names}; wanted names, each once")
        for each in self.follows:
            weighed = len(each.of) == 1 if each.known else 0 < len(each.of) == len(each.weights)
            if not {each.column, *each.of} <= set(names) or not weighed:
                raise ValueError(
                    f"column {each.column} follows from {each.of} by {each.weights}; wanted some, by one each"
                )
        for column in self.columns:
            if len(column.knots) < 2 or not all(x < y and fx < fy for (x, fx), (y, fy) in pairwise(column.knots)):
                raise ValueError(f"column {column.name} has knots that don't rise")
            edges = [edge for cell in column.cells for edge in cell]
            if edges != sorted(edges) or any(high >= low for (_, high), (low, _) in pairwise(column.cells)):
                raise ValueError(f"column {column.name} has cells that don't rise")
            if (column.kind == "category") != bool(column.values):
                raise ValueError(f"column {column.name} is a {column.kind} with {len(column.values)} values")


def require_counts(name: str, values: Array, rows: Array) -> None:
    """Refuse values of a column of counts that aren't; NaN stands for none, and `rows` are their numbers.

    Raises:
        DataError: one is negative or broken.
    """
    wrong = ~np.isnan(values) & ((values < 0) | (values != np.floor(values)))
    if wrong.any():
        at = int(wrong.argmax())
        raise DataError(
            f"column {name} holds {values[at]:g} in row {rows[at]}, and data.counts says that it counts: whole "
            "numbers from 0 up are wanted; mend the value, or leave the column out of data.counts"
        )


def require_target(spec: StoredSpec, target: str | None) -> None:
    """Refuse a target that is no column of the table.

    Raises:
        DataError: names the columns that are called nearly so, or the first ones.
    """
    names = [column.name for column in spec.columns] if isinstance(spec, TableSpec) else []
    if target is not None and target not in names:
        near = get_close_matches(target, names, n=3) or names[:12]
        raise DataError(f"evaluate.target is {target!r}, and no column is called so; there are {', '.join(near)}")
