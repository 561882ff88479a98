"""A table's rows as records, a mapping from column to value each, to the numbers that a bundle takes.

Plain values need numpy alone. `frames` takes the others (a number that is written as a text, a date in a format of its
own, a Decimal), needs pandas, and gives the same numbers for plain ones.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.table.spec import Column, TableSpec
from vae_pipeline.system.errors import DataError

TRUTH = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
MOST = 3e38  # that a float32 holds
WHOLE = 2**53  # beyond which a double skips whole numbers
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain_records(
    records: Sequence[Mapping[str, Any]], spec: TableSpec, place: str
) -> npt.NDArray[np.floating[Any]] | None:
    """[records, columns], in the order of the spec, or None where a value isn't plain.

    A record lacks the value of a column that it doesn't name.

    Raises:
        DataError: a column is missing or unknown.
    """
    named = [{str(name): value for name, value in record.items()} for record in records]
    require_columns({name: None for record in named for name in record}, spec, place)
    found = np.empty((len(named), len(spec.columns)))
    for index, column in enumerate(spec.columns):
        codes = {text_of(value): float(code) for code, value in reversed(list(enumerate(column.values)))}
        for row, record in enumerate(named):
            number = _number(record.get(column.name), column, codes)
            if number is None or abs(number) > MOST:
                return None
            found[row, index] = number
    return found


def require_columns(given: Collection[str], spec: TableSpec, place: str, beside: Sequence[str] = ()) -> None:
    """Refuse rows without a column of the spec, or with one that is neither ignored nor asked for `beside` them.

    Raises:
        DataError: there is one.
    """
    wanted = [column.name for column in spec.columns]
    missing = [name for name in (*wanted, *beside) if name not in given]
    added = [name for name in given if name not in (*wanted, *spec.ignored, *beside)]
    if missing:
        renamed = f"; it has others, {', '.join(added)}: is one of them renamed?" if added else ""
        raise DataError(f"{place} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}{renamed}")
    if added:
        told, them = ("the columns", "them") if len(added) > 1 else ("the column", "it")
        raise DataError(f"{place} has {told} {', '.join(added)}, which the model doesn't know: leave {them} out")


def _number(value: Any, column: Column, codes: Mapping[str, float]) -> float | None:
    """The number that stands for a plain value, NaN where it is missing; None for a value that isn't plain."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return math.nan
    text, number = isinstance(value, str), type(value) in (int, float) and abs(value) < WHOLE
    match column.kind:
        case "number" if number:
            return float(value)
        case "boolean" if text or number or isinstance(value, bool):
            return TRUTH.get(text_of(value).lower())
        case "category" if text or number:
            return codes.get(text_of(value), float(len(codes)))
        case "date" if text and not column.written:
            return iso_days(value)
        case "date" if type(value) in (date, datetime):
            return days_of(value)
    return None


def text_of(value: str | float) -> str:
    """A value as it would be written: a whole number without a point."""
    if isinstance(value, str):
        return re.sub(r"^([+-]?\d+)\.0+$", r"\1", value.strip())
    return str(int(value)) if float(value).is_integer() else repr(value)


def iso_days(text: str) -> float | None:
    """Days since 1970 of a date in ISO 8601; None of what is none."""
    try:
        return days_of(datetime.fromisoformat(text))
    except ValueError:
        return None


def days_of(moment: date) -> float:
    """Days since 1970, in UTC where no zone is said."""
    whole = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day)
    return ((whole if whole.tzinfo else whole.replace(tzinfo=UTC)) - EPOCH) / timedelta(days=1)
