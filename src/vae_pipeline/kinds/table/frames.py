"""A table's values in few types, the numbers that stand for them, and back.

A boolean is 0 or 1, a category the index of its value, a date the days since 1970; what is missing is NaN.
"""

import datetime
import decimal
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.kinds.table import numbers
from vae_pipeline.kinds.table.dates import days, moments, since_1970
from vae_pipeline.kinds.table.exact import shortest, stepped
from vae_pipeline.kinds.table.records import MOST, TRUTH, WHOLE, require_columns
from vae_pipeline.system.errors import DataError

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def plain(frame: pd.DataFrame, place: str) -> pd.DataFrame:
    """The frame with columns of float64, bool, datetime64 or str alone; a duration is a number of seconds.

    Raises:
        DataError: two columns have one name; or one holds lists, complex numbers, or what else isn't one of these.
    """
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"{place} has two columns of the name {twice!r}: rename one")
    return pd.DataFrame(
        {name: _plain(values, f"{place}: column {name}") for name, values in frame.items()}, frame.index
    )


def _plain(values: "pd.Series[object]", place: str) -> "pd.Series[object]":
    kind = values.dtype
    if isinstance(kind, pd.StringDtype) or types.is_datetime64_any_dtype(kind):
        return values
    if isinstance(kind, pd.CategoricalDtype):
        return _plain(values.astype(kind.categories.dtype), place)
    if isinstance(kind, pd.PeriodDtype):
        return values.dt.start_time
    if isinstance(kind, pd.IntervalDtype):
        return values.astype("str").mask(values.isna())
    if types.is_timedelta64_dtype(kind):
        return values / pd.Timedelta(seconds=1)
    if types.is_bool_dtype(kind):
        return values.astype(bool) if not values.isna().any() else _plain(values.astype(object), place)
    if types.is_complex_dtype(kind):
        raise DataError(f"{place} holds complex numbers: give their real and imaginary parts a column each")
    if types.is_numeric_dtype(kind):
        return pd.Series(values.to_numpy("float64", na_value=np.nan), values.index)
    return _of_objects(values.astype(object), place)


def _of_objects(values: "pd.Series[object]", place: str) -> "pd.Series[object]":
    present = values.dropna()
    held = {type(value) for value in present}
    if held <= {bool, np.bool_}:  # with gaps, which bool has no place for
        return values.map({True: "true", False: "false"}).astype("str")
    if all(issubclass(each, int | float | decimal.Decimal | np.integer | np.floating) for each in held):
        return values.where(values.notna(), np.nan).astype("float64")
    if held <= {bytes}:
        values = values.map(bytes.decode, na_action="ignore")
        held = {str}
    if held <= {datetime.timedelta}:
        return pd.to_timedelta(values) / pd.Timedelta(seconds=1)
    if any(issubclass(each, datetime.date) for each in held):
        return pd.to_datetime(values, utc=True, format="ISO8601")
    wrong = [each for each in held if not issubclass(each, str | int | float | datetime.time)]
    if wrong:
        raise DataError(
            f"{place} holds values of type {wrong[0].__name__}; numbers, booleans, dates or texts are wanted: spread "
            "it over columns of its own, or leave it out"
        )
    return values.map(str, na_action="ignore").astype("str")


def texts(values: "pd.Series[object]") -> "pd.Series[str]":
    """Each value as it would be written: a whole number without a point, whatever its column is of."""
    if types.is_float_dtype(values):
        return values.map(lambda value: str(int(value)) if float(value).is_integer() else repr(float(value)))
    found = values if isinstance(values.dtype, pd.StringDtype) else values.map(str)
    return found.str.strip().str.replace(r"^([+-]?\d+)\.0+$", r"\1", regex=True)


def encoded_rows(rows: pd.DataFrame | Sequence[Mapping[str, Any]], spec: TableSpec, place: str) -> Floats:
    """[rows, columns] of a DataFrame or of records, in the order of the spec.

    Raises:
        DataError: a column is missing or unknown, or a value isn't of its kind.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame.from_records(list(rows))
    if frame.empty:
        raise DataError("no observations were given: at least one row is wanted")
    frame = frame.set_axis(frame.columns.astype(str), axis=1).reset_index(drop=True)
    require_columns(frame.columns, spec, place)
    return encode(frame, spec.columns, place)


def encode(
    frame: pd.DataFrame, columns: Sequence[Column], place: str, written: numbers.Format = numbers.ORDINARY
) -> Floats:
    """[rows, columns] of float64; texts of numbers are written in the format given.

    Raises:
        DataError: a value isn't of its column's kind, or isn't finite.
    """
    encoded = np.empty((len(frame), len(columns)))
    given = plain(frame[[column.name for column in columns]], place)
    for index, column in enumerate(columns):
        encoded[:, index] = _encoded(given[column.name], column, place, written)
        if (np.abs(encoded[:, index]) > MOST).any():
            raise DataError(f"{place}: column {column.name} holds infinity, or numbers over 3e38: clean it first")
    return encoded


def _encoded(values: "pd.Series[object]", column: Column, place: str, written: numbers.Format) -> Floats:
    present = values.dropna()
    text = isinstance(present.dtype, pd.StringDtype)
    match column.kind:
        case "number" if not text:
            found = pd.to_numeric(present, errors="coerce").astype(float)
        case "number" if column.written == "duration":
            found = numbers.seconds(present)
        case "number":
            found = numbers.values(present, written, column.written)
        case "boolean":
            found = texts(present).str.lower().map(TRUTH).astype(float)
        case "date" if types.is_datetime64_any_dtype(present):
            found = pd.Series(since_1970(present), present.index)
        case "date":
            found = pd.Series(days(present, column.written) if text else np.nan, present.index)
        case "category":
            codes = {value: float(code) for code, value in reversed(list(enumerate(texts(pd.Series(column.values)))))}
            found = texts(present).map(codes).fillna(len(codes)).astype(float)
    wrong = present[found.isna()]
    if len(wrong):
        written_as = f" written as {column.written}" if column.written else ""
        raise DataError(
            f"{place}: column {column.name} holds {texts(wrong).iloc[0]!r} in row {wrong.index[0]}, which isn't a "
            f"{column.kind}{written_as}: mend it, or say in the recipe, in data.columns, what it is"
        )
    return np.asarray(found.reindex(values.index), float)


def decode(
    rows: npt.NDArray[Any], columns: Sequence[Column], steps: bool | None = None, short: bool = False
) -> pd.DataFrame:
    """A table of rows [rows, columns] in the data's units, with the values that codes stand for.

    What is NaN is missing. A column of numbers that are all multiples of its step is written in as many decimals;
    `steps` says whether they are, so that each of several pieces has the types of the others. `short`: other numbers of
    float32 have as few digits as tell them from their neighbours.
    """
    found = {}
    for column, values in zip(columns, rows.astype(np.float64).T, strict=True):
        missing = np.isnan(values)
        known = np.where(missing, 0.0, values)
        match column.kind:
            case "number":
                numbers = _numbers(values, missing, column, steps)
                if numbers is None:
                    numbers = pd.Series(shortest(values) if short and not column.offset else values)
                found[column.name] = numbers
            case "boolean":
                truths = pd.Series(known >= 0.5)
                found[column.name] = truths.astype("boolean").mask(missing) if missing.any() else truths
            case "date":
                found[column.name] = moments(known).mask(missing)
            case "category":
                names = np.array([*column.values, ""], object)
                found[column.name] = pd.Series(names[np.rint(known).astype(int)]).mask(missing)
    return pd.DataFrame(found)


def _numbers(
    values: Floats, missing: npt.NDArray[np.bool_], column: Column, steps: bool | None
) -> "pd.Series[Any] | None":
    """Numbers as the data write them; None where they aren't multiples of their step, as far as float32 can tell."""
    if column.step == 0 or column.extent is None or (missing.all() and not steps) or steps is False:
        return None
    exact, decimals = stepped(values, column)
    known = exact[~missing]
    if not steps and not np.allclose(known, values[~missing], rtol=2.0**-22, atol=1e-3 * column.step):
        return None
    if decimals or (np.abs(known) >= WHOLE).any():
        return pd.Series(exact)
    whole = pd.Series(np.where(missing, 0.0, exact).astype(np.int64))
    return whole.astype("Int64").mask(missing) if missing.any() else whole
