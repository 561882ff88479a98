"""Tables as pandas reads them, and the numbers that stand for what they hold.

A boolean is 0 or 1, a category the index of its value, a date the days since 1970; what is missing is NaN.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types
from pyarrow import parquet

from vae_pipeline.data.sources.parts import Array
from vae_pipeline.errors import DataError
from vae_pipeline.spec import Column, ColumnKind

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".npz")
ROWS = 2**16  # read at a time
MOST_VALUES = 256  # of a column of texts that is taken for a category
TRUTH = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
EPOCH = pd.Timestamp(0, tz="UTC")


def is_table(path: Path) -> bool:
    """Whether the name is that of a table."""
    return path.name.lower().endswith(SUFFIXES)


def read_frame(path: Path) -> pd.DataFrame:
    """A whole table.

    Raises:
        DataError: the file isn't there, is empty or corrupt, or isn't a table.
    """
    return pd.concat(chunks(path))


def chunks(path: Path, gaps: bool = True) -> Iterator[pd.DataFrame]:
    """A table from a file, which its suffix tells, so many rows at a time that memory doesn't grow with its size.

    With `gaps`, an empty field of a .csv, NA, null and their like are missing values; else they are what they say.

    Raises:
        DataError: the file isn't there, is empty or corrupt, or isn't a table.
    """
    if not path.is_file():
        raise DataError(f"{path} isn't there")
    empty = True
    try:
        for frame in _read(path, gaps):
            if not frame.columns.is_unique:
                twice = frame.columns[frame.columns.duplicated()][0]
                raise DataError(f"{path} has two columns of the name {twice!r}: rename one")
            empty = empty and frame.empty
            yield frame.set_axis(frame.columns.astype(str), axis=1)
    except DataError:
        raise
    except pd.errors.ParserWarning as error:
        raise DataError(
            f"{path} has a row of more fields than it has columns: put texts that hold a comma into quotes"
        ) from error
    except Exception as error:  # of a corrupt file, pandas, pyarrow and numpy raise nearly anything
        raise DataError(f"{path} isn't a whole table of kind {', '.join(SUFFIXES)} ({error})") from error
    if empty:
        raise DataError(f"{path} holds no rows")


def _read(path: Path, gaps: bool) -> Iterator[pd.DataFrame]:
    name = path.name.lower()
    if name.endswith(".parquet"):
        with parquet.ParquetFile(path) as file:
            start = 0
            for batch in file.iter_batches(ROWS):
                frame = batch.to_pandas()
                yield frame.set_axis(range(start, start + len(frame)))
                start += len(frame)
    elif name.endswith(".npz"):
        yield _read_npz(path)
    else:  # as texts: what a chunk's values look like doesn't bind the next chunk, and 007 stays 007
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # or fields too many would be left out in silence
            yield from pd.read_csv(path, dtype=str, chunksize=ROWS, index_col=False, keep_default_na=gaps)


def _read_npz(path: Path) -> pd.DataFrame:
    """`X` and `y`, as ADBench has them; with `columns`, the names of X's."""
    with np.load(path, allow_pickle=False) as archive:
        if "X" not in archive or archive["X"].ndim != 2:
            raise DataError(f"{path} holds the arrays {', '.join(archive)}: a table X [rows, columns] is wanted")
        x = archive["X"]
        names = archive["columns"] if "columns" in archive else [f"x{index}" for index in range(x.shape[1])]
        frame = pd.DataFrame(x, columns=names)
        return frame.assign(y=archive["y"]) if "y" in archive else frame


class Outline:
    """What a column is, found from its values some at a time; or what the recipe says that it is."""

    def __init__(self, name: str, told: ColumnKind | None) -> None:
        self.name, self.told = name, told
        self.kinds: set[ColumnKind] = set()
        self.values: set[str] = set()
        self.missing = False

    def add(self, values: "pd.Series[object]") -> None:
        """More of its values."""
        present = pd.Series(values.dropna().unique())
        self.missing = self.missing or bool(values.isna().any())
        if self.told is None and len(present):
            self.kinds.add(_looks_like(present))
        if len(self.values) <= MOST_VALUES:
            self.values.update(texts(present[: MOST_VALUES + 1]))

    def column(self) -> Column:
        """The column, without knots.

        Raises:
            DataError: it holds so many different texts that it can't be a category.
        """
        looks: ColumnKind = self.kinds.pop() if len(self.kinds) == 1 else "category" if self.kinds else "number"
        kind = self.told or looks
        if kind != "category":
            return Column(self.name, kind, self.missing, ())
        if len(self.values) > MOST_VALUES:
            raise DataError(
                f"column {self.name} holds more than {MOST_VALUES} different values, such as {min(self.values)!r}: too "
                f"many for a category; set data.columns.{self.name} to ignored"
            )
        return Column(self.name, kind, self.missing, (), tuple(sorted(self.values)))


def _looks_like(present: "pd.Series[object]") -> ColumnKind:
    if types.is_bool_dtype(present):
        return "boolean"
    if types.is_numeric_dtype(present):
        return "number"
    if types.is_datetime64_any_dtype(present):
        return "date"
    found = texts(present)
    if pd.to_numeric(found, errors="coerce").notna().all():
        return "number"
    if found.str.lower().isin(["true", "false"]).all():
        return "boolean"
    return "date" if pd.to_datetime(found, format="ISO8601", errors="coerce", utc=True).notna().all() else "category"


def texts(values: "pd.Series[object]") -> "pd.Series[str]":
    """Each value as it would be written: a whole number without a point, whether or not its column has gaps."""
    if types.is_float_dtype(values):
        return values.map(lambda value: str(int(value)) if float(value).is_integer() else repr(float(value)))
    return values if isinstance(values.dtype, pd.StringDtype) else values.map(str)


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
