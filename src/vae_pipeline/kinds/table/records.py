"""A table's rows as a DataFrame, or as records (a mapping from column to value each), to what a bundle takes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from vae_pipeline.kinds.spec import TableSpec
from vae_pipeline.kinds.table.frames import encode, require_columns
from vae_pipeline.system.errors import DataError


def encoded(rows: pd.DataFrame | Sequence[Mapping[str, Any]], spec: TableSpec) -> npt.NDArray[np.floating[Any]]:
    """[rows, columns], in the order of the spec; a record lacks the value of a column that it doesn't name.

    Raises:
        DataError: a column is missing or unknown, or a value isn't of its kind.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame.from_records(list(rows))
    if frame.empty:
        raise DataError("no observations were given: at least one row is wanted")
    frame = frame.set_axis(frame.columns.astype(str), axis=1).reset_index(drop=True)
    require_columns(frame, spec, "the rows")
    return encode(frame, spec.columns, "the rows")
