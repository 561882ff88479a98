"""DataSpec: what `prepare` found out about the data, and all that a model must know of it.

Plain dataclasses, so that an exported bundle can be used where only numpy and onnxruntime are installed.
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from vae_pipeline.errors import DataError

ANOMALIES = ("normal", "anomaly")
"""The classes of a table whose labels say what is to be detected."""
ColumnKind = Literal["number", "boolean", "category", "date"]


@dataclass(frozen=True)
class ImageSpec:
    """Images as they lie on disk: [channels, height, width], unscaled."""

    shape: tuple[int, int, int]
    dtype: str
    """`uint8` or `float32`."""
    low: float
    high: float
    """The range of the values, which the model maps to [0, 1]."""
    binary: bool
    """Whether only `low` and `high` occur, so that a Bernoulli likelihood is a true probability."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; empty where there are none."""
    kind: str = "image"

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return self.shape

    @property
    def dimensions(self) -> int:
        """Number of values in one observation."""
        return math.prod(self.shape)

    @property
    def unit(self) -> float:
        """What differences of values are taken relative to: the width of their range."""
        return self.high - self.low

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ImageSpec":
        """Inverse of `to_dict`.

        Raises:
            DataError: a field is missing, unknown or of another kind.
        """
        try:
            if values["kind"] != "image":
                raise DataError(f"this version reads data of kind 'image' or 'table'; given {values['kind']!r}")
            spec = cls(**{**values, "shape": tuple(values["shape"]), "classes": tuple(values["classes"])})
            spec._validate()
            return spec
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a data spec ({error}): run `vae-pipeline prepare` again") from error

    def _validate(self) -> None:
        if len(self.shape) != 3 or not all(isinstance(side, int) and side > 0 for side in self.shape):
            raise ValueError(f"shape is {list(self.shape)}; wanted channels, height and width")
        if self.dtype not in ("uint8", "float32") or not isinstance(self.binary, bool):
            raise ValueError(
                f"dtype is {self.dtype!r} and binary {self.binary!r}; wanted uint8 or float32, true or false"
            )
        if not math.isfinite(self.low) or not math.isfinite(self.high) or self.low >= self.high:
            raise ValueError(f"the range is {self.low} to {self.high}; wanted two finite numbers, low under high")
        if not all(isinstance(name, str) for name in self.classes):
            raise ValueError(f"classes are {list(self.classes)}; wanted names")

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n")


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    kind: ColumnKind
    """A date is a number too, of days since 1970; a boolean is 0 or 1, a category the index of its value."""
    missing: bool
    """Whether values may be missing; they are NaN."""
    knots: tuple[tuple[float, float], ...]
    """Where the scaling is pinned: (raw, scaled), rising in both; straight lines between, and beyond them no change."""
    values: tuple[str, ...] = ()
    """Of a category: what occurs in the training part. Any other is one class more, index len(values)."""

    @property
    def unit(self) -> float:
        """Raw distance that one scaled unit spans, on average."""
        (low, first), (high, last) = self.knots[0], self.knots[-1]
        return (high - low) / (last - first)


@dataclass(frozen=True)
class TableSpec:
    """Rows of a table as they lie on disk: [columns] of float32, unscaled, NaN where a value is missing."""

    columns: tuple[Column, ...]
    ignored: tuple[str, ...]
    """Columns that the source holds and the model doesn't see: the label, and what the recipe leaves out."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; `normal` and `anomaly`, or empty where there are none."""
    dtype: str = "float32"
    kind: str = "table"

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return (len(self.columns),)

    @property
    def dimensions(self) -> int:
        """Number of values in one observation."""
        return len(self.columns)

    @property
    def unit(self) -> tuple[float, ...]:
        """What differences of values are taken relative to, a column each."""
        return tuple(column.unit for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TableSpec":
        """Inverse of `to_dict`.

        Raises:
            DataError: a field is missing, unknown or of another kind.
        """
        try:
            columns = tuple(_column(column) for column in values["columns"])
            lists = {name: tuple(values[name]) for name in ("ignored", "classes")}
            spec = cls(**{**values, **lists, "columns": columns})
            spec._validate()
            return spec
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"not a data spec ({error}): run `vae-pipeline prepare` again") from error

    def _validate(self) -> None:
        if not self.columns or self.dtype != "float32" or self.kind != "table":
            raise ValueError(f"{len(self.columns)} columns, dtype {self.dtype!r}; wanted some, of float32")
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names) or not all(isinstance(name, str) for name in (*names, *self.classes)):
            raise ValueError(f"columns are {names}; wanted names, each once")

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n")


def _column(values: dict[str, Any]) -> Column:
    knots = tuple((float(raw), float(scaled)) for raw, scaled in values["knots"])
    column = Column(**{**values, "knots": knots, "values": tuple(values["values"])})
    if column.kind not in get_args(ColumnKind) or not isinstance(column.missing, bool):
        raise ValueError(f"column {column.name} has kind {column.kind!r} and missing {column.missing!r}")
    rising = len(knots) > 1 and all(x < y and fx < fy for (x, fx), (y, fy) in pairwise(knots))
    if not rising or not all(math.isfinite(number) for knot in knots for number in knot):
        raise ValueError(f"column {column.name} has knots that don't rise, or aren't finite")
    if (column.kind == "category") != bool(column.values):
        raise ValueError(f"column {column.name} is a {column.kind} with {len(column.values)} values")
    return column


DataSpec = ImageSpec | TableSpec
"""Observations on disk, and where they come from."""


def spec_of(values: dict[str, Any]) -> DataSpec:
    """A spec from what its `to_dict` gave.

    Raises:
        DataError: a field is missing, unknown or of another kind.
    """
    kind = values.get("kind") if isinstance(values, dict) else None
    return TableSpec.from_dict(values) if kind == "table" else ImageSpec.from_dict(values)


def load_spec(path: Path) -> DataSpec:
    """Read what `save` wrote.

    Raises:
        DataError: there is no such file, or it isn't a spec.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{path} isn't there: run `vae-pipeline prepare` first") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} can't be read as JSON ({error}): run `vae-pipeline prepare` again") from error
    try:
        return spec_of(values)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
