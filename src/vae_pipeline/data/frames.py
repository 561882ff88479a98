"""Tables as pandas reads them, and the numbers that stand for what they hold.

A boolean is 0 or 1, a category the index of its value, a date the days since 1970; what is missing is NaN.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from vae_pipeline.data.sources.parts import Array
from vae_pipeline.errors import DataError
from vae_pipeline.spec import Column, ColumnKind

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".npz")
MOST_VALUES = 256  # of a column of texts that is taken for a category
TRUTH = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
EPOCH = pd.Timestamp(0, tz="UTC")


def is_table(path: Path) -> bool:
    """Whether the name is that of a table."""
    return path.name.lower().endswith(SUFFIXES)


def read_frame(path: Path) -> pd.DataFrame:
    """A table from a file, which its suffix tells.

    Raises:
        DataError: the file isn't there, is empty or corrupt, or isn't a table.
    """
    if not path.is_file():
        raise DataError(f"{path} isn't there")
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            frame = pd.read_parquet(path)
        elif name.endswith(".npz"):
            frame = _read_npz(path)
        else:
            frame = pd.read_csv(path)
    except DataError:
        raise
    except Exception as error:  # of a corrupt file, pandas, pyarrow and numpy raise nearly anything
        raise DataError(f"{path} isn't a whole table of kind {', '.join(SUFFIXES)} ({error})") from error
    frame.columns = frame.columns.astype(str)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"{path} has two columns of the name {twice!r}: rename one")
    if frame.empty:
        raise DataError(f"{path} holds no rows")
    return frame


def _read_npz(path: Path) -> pd.DataFrame:
    """`X` and `y`, as ADBench has them; with `columns`, the names of X's."""
    with np.load(path, allow_pickle=False) as archive:
        if "X" not in archive or archive["X"].ndim != 2:
            raise DataError(f"{path} holds the arrays {', '.join(archive)}: a table X [rows, columns] is wanted")
        x = archive["X"]
        names = archive["columns"] if "columns" in archive else [f"x{index}" for index in range(x.shape[1])]
        frame = pd.DataFrame(x, columns=names)
        return frame.assign(y=archive["y"]) if "y" in archive else frame


def column_of(values: "pd.Series[object]", kind: ColumnKind | None) -> Column:
    """The column, of `kind` or, where that is None, of the kind that its values look like.

    Raises:
        DataError: it holds texts of so many kinds that it can't be a category.
    """
    name, present = str(values.name), values.dropna()
    kind = kind or _looks_like(present)
    known: tuple[str, ...] = ()
    if kind == "category":
        known = tuple(sorted(texts(present).unique()))
        if len(known) > MOST_VALUES:
            raise DataError(
                f"column {name} holds {len(known)} different values, such as {known[0]!r}, more than the {MOST_VALUES} "
                f"that a category may have: set data.columns.{name} to ignored"
            )
    return Column(name, kind, bool(values.isna().any()), (), known)


def _looks_like(present: "pd.Series[object]") -> ColumnKind:
    if types.is_bool_dtype(present):
        return "boolean"
    if types.is_numeric_dtype(present):
        return "number"
    if types.is_datetime64_any_dtype(present):
        return "date"
    found = texts(present)
    if len(found) and found.str.lower().isin(["true", "false"]).all():
        return "boolean"
    dates = pd.to_datetime(found, format="ISO8601", errors="coerce", utc=True)
    return "date" if len(found) and bool(dates.notna().all()) and not found.str.isdigit().any() else "category"


def texts(values: "pd.Series[object]") -> "pd.Series[str]":
    """Each value as it would be written: a whole number without a point, whether or not its column has gaps."""
    if types.is_float_dtype(values):
        return values.map(lambda value: str(int(value)) if float(value).is_integer() else repr(float(value)))
    return values.map(str)


def encode(frame: pd.DataFrame, columns: Sequence[Column], place: str) -> Array:
    """[rows, columns] of float32.

    Raises:
        DataError: a value isn't of its column's kind, or isn't finite.
    """
    encoded = np.empty((len(frame), len(columns)), np.float32)
    for index, column in enumerate(columns):
        with np.errstate(over="ignore"):  # becomes infinite, and is refused
            encoded[:, index] = _encoded(frame[column.name], column, place)
        if np.isinf(encoded[:, index]).any():
            raise DataError(f"{place}: column {column.name} holds infinity, or numbers over 3e38: clean it first")
    return encoded


def _encoded(values: "pd.Series[object]", column: Column, place: str) -> npt.NDArray[np.float64]:
    present = values.dropna()
    match column.kind:
        case "number":
            found = pd.to_numeric(present, errors="coerce").astype(float)
        case "boolean":
            found = texts(present).str.lower().map(TRUTH).astype(float)
        case "date":
            numbers = types.is_numeric_dtype(present) and len(present) > 0
            given = pd.Series(pd.NaT, present.index) if numbers else present
            dates = pd.to_datetime(given, format="ISO8601", errors="coerce", utc=True)
            found = (dates - EPOCH) / pd.Timedelta(days=1)
        case "category":
            codes = {value: float(code) for code, value in enumerate(column.values)}
            found = texts(present).map(codes).fillna(len(codes)).astype(float)
    wrong = present[found.isna()]
    if len(wrong):
        raise DataError(
            f"{place}: column {column.name} holds {texts(wrong).iloc[0]!r} in row {wrong.index[0]}, which isn't a "
            f"{column.kind}: mend it, or say in the recipe, in data.columns, what it is"
        )
    return np.asarray(found.reindex(values.index), float)


def decode(rows: Array, columns: Sequence[Column]) -> pd.DataFrame:
    """A table of rows [rows, columns] in the data's units, with the values that codes stand for."""
    found = {}
    for column, values in zip(columns, rows.astype(np.float64).T, strict=True):
        match column.kind:
            case "number":
                found[column.name] = pd.Series(values)
            case "boolean":
                found[column.name] = pd.Series(values >= 0.5)
            case "date":
                found[column.name] = pd.Series(EPOCH + pd.to_timedelta(values, unit="D")).dt.round("s")
            case "category":
                known = np.array([*column.values, ""], object)
                found[column.name] = pd.Series(known[np.rint(values).astype(int)])
    return pd.DataFrame(found)
