"""Rows of a table as scikit-learn's users hold them: an array of numbers, or a DataFrame of columns of any kind."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.kinds.table.columns import Outline
from vae_pipeline.kinds.table.frames import decode, encode, plain
from vae_pipeline.recipe.data import DateColumn
from vae_pipeline.system.errors import InputError

Floats = npt.NDArray[np.float64]


def frame_of(estimator: BaseEstimator, X: Any, reset: bool, least: int) -> pd.DataFrame:  # noqa: N803
    """The rows as a DataFrame; checked, as scikit-learn does, unless some columns hold no numbers.

    Raises:
        ValueError: they can't be rows, are fewer than `least`, or, unless `reset`, have other columns than those of
            `fit`.
    """
    if isinstance(X, pd.DataFrame):
        if not X.columns.is_unique:
            raise ValueError(f"X has two columns of the name {X.columns[X.columns.duplicated()][0]!r}: rename one")
        if not all_numbers(X):
            validate_data(estimator, X, reset=reset, skip_check_array=True)
            if len(X) < least:
                raise ValueError(f"X has {len(X)} rows, and at least {least} are wanted")
            return plain(X.set_axis(X.columns.astype(str), axis=1).reset_index(drop=True), "X")
    values = validate_data(
        estimator, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=least
    )
    names = getattr(estimator, "feature_names_in_", [f"x{index}" for index in range(values.shape[1])])
    return pd.DataFrame(values, columns=[str(name) for name in names])


def all_numbers(frame: pd.DataFrame) -> bool:
    """True if each column is of numbers, and none of booleans."""
    return all(types.is_numeric_dtype(kind) and not types.is_bool_dtype(kind) for kind in frame.dtypes)


def outlines_of(frame: pd.DataFrame, told: Mapping[str, Any]) -> list[Outline]:
    """The outlines of the columns that aren't ignored.

    Raises:
        ValueError: what is told is of another column, or leaves none.
    """
    absent = sorted(set(told) - set(frame.columns))
    if absent:
        raise ValueError(f"columns names {', '.join(absent)}, but X has {', '.join(map(str, frame.columns))}")
    outlines = [_told(name, told.get(name)) for name in frame.columns if told.get(name) != "ignored"]
    if not outlines:
        raise ValueError(f"columns={dict(told)!r} leaves no column to learn from: keep one")
    for outline in outlines:
        outline.add(frame[outline.name])
    return outlines


def _told(name: str, kind: Any) -> Outline:
    return Outline(name, kind.kind, kind.format) if isinstance(kind, DateColumn) else Outline(name, kind)


def values_of(frame: pd.DataFrame, columns: Sequence[Column]) -> Floats:
    """[rows, columns] in the data's units: codes for categories, NaN where a value is missing.

    Raises:
        DataError: a value isn't of its column's kind.
    """
    return encode(frame, columns, "X")


def given_back(x: npt.NDArray[Any], spec: TableSpec, names: Mapping[str, int] | None) -> pd.DataFrame | Floats:
    """Rows [examples, columns] of a model's answer in the data's units; `names` are those of `Given`."""
    return as_given(spec.natural(x), spec, names)


def as_given(
    rows: npt.NDArray[Any], spec: TableSpec, names: Mapping[str, int] | None, steps: bool | None = None
) -> pd.DataFrame | Floats:
    """Rows in the data's units as a DataFrame; as an array where the fit's came as one, and all columns are numbers.

    `steps` as in `decode`.
    """
    if names is None and all(column.kind == "number" for column in spec.columns):
        return rows.astype(np.float64)
    return decode(rows, spec.columns, steps).rename(columns=names or {})


def refuse_all_left_out(reasons: Mapping[str, str]) -> None:
    """Refuse a table of which no column can be learned.

    Raises:
        InputError: always.
    """
    said = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
    raise InputError(f"X has no column left to learn from: {said}; say in columns what they are")
