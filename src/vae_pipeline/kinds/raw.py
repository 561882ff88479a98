"""Raw observations as a graph takes them: checked against the spec, and of its dtype.

Needs what `runtime` needs: numpy.
"""

from collections.abc import Sequence
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import Column, DataSpec, ImageSpec, TableSpec, TextSpec, within
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]


def checked(x: Array, spec: DataSpec, centred: bool = False, first: int = 0) -> Array:
    """Observations [examples, *event]; a table's in their own units, or `centred`: less their columns' offsets.

    Rows are counted from `first` where one is named.

    Raises:
        DataError: they are of another shape or type, or hold values that can't occur.
    """
    x = np.asarray(x)
    if x.shape[1:] != spec.event_shape or x.ndim != len(spec.event_shape) + 1:
        wanted = ["examples", *spec.event_shape]
        raise DataError(f"observations of shape {list(x.shape)} were given; wanted {wanted}".replace("'", ""))
    if len(x) == 0:
        raise DataError("no observations were given: at least one is wanted")
    if x.dtype.kind not in "biuf":
        raise DataError(f"observations of type {x.dtype} were given; numbers are wanted")
    match spec:
        case ImageSpec():
            return _images(x, spec)
        case TableSpec():
            return _rows(x if centred else centre(x, spec.columns), spec, first)
        case TextSpec():
            return _sentences(x, spec, first)
        case _:
            assert_never(spec)


def centre(x: Array, columns: Sequence[Column]) -> npt.NDArray[np.float32]:
    """Rows less their columns' offsets, which float64 takes off before float32 rounds; infinite over 3e38."""
    with np.errstate(over="ignore"):
        return (x.astype(np.float64) - [column.offset for column in columns]).astype(np.float32)


def natural(x: Array, spec: DataSpec) -> Array:
    """A graph's answer in the data's own units; float64 where offsets ask for it."""
    if isinstance(spec, TableSpec) and any(spec.offsets):
        return x.astype(np.float64) + spec.offsets
    return x


def _images(x: Array, spec: ImageSpec) -> Array:
    whole = x.dtype.kind in "biu"
    if not whole and not np.isfinite(x).all():
        raise DataError("the observations hold NaN or infinity: clean them first")
    inside = within(x, spec.low, spec.high)
    if inside is None:
        raise DataError(
            f"observations from {x.min():.7g} to {x.max():.7g} were given; this model takes raw values in "
            f"[{spec.low:g}, {spec.high:g}]"
        )
    if spec.dtype == "uint8" and not whole and not np.array_equal(inside, np.rint(inside)):
        raise DataError(
            f"the observations aren't whole numbers; this model takes raw uint8 values in "
            f"[{spec.low:g}, {spec.high:g}] (scaling is part of it)"
        )
    return np.ascontiguousarray(inside.astype(spec.dtype))


def _rows(x: Array, spec: TableSpec, first: int) -> Array:
    """Check rows of a table: a gap is NaN, and a category's unknown values have the code after the last."""
    with np.errstate(over="ignore"):  # becomes infinite, and is refused
        rows = x.astype(np.float32)
    missing = np.isnan(rows)
    if missing.all(axis=1).any():
        raise DataError(f"row {first + int(missing.all(axis=1).argmax())} holds no value at all: leave it out")
    for index, column in enumerate(spec.columns):
        values = rows[~missing[:, index], index]
        if missing[:, index].any() and not column.missing:
            raise DataError(
                f"column {column.name} lacks a value in row {first + int(missing[:, index].argmax())}, as no row "
                "did that the model was made of: fill it in, or train on rows that lack it"
            )
        if np.isinf(values).any():
            raise DataError(f"column {column.name} holds infinity, or numbers over 3e38: clean it first")
        most = {"boolean": 1, "category": len(column.values)}.get(column.kind)
        if most is not None and not np.isin(values, np.arange(most + 1)).all():
            raise DataError(f"column {column.name} is a {column.kind}: whole numbers from 0 to {most} are wanted")
    return np.ascontiguousarray(rows)


def _sentences(x: Array, spec: TextSpec, first: int) -> Array:
    """Ids, an end, padding."""
    with np.errstate(invalid="ignore"):  # of NaN, which is refused
        rows = np.ascontiguousarray(x.astype(np.int32))
    if not np.array_equal(rows, x) or rows.min() < 0 or rows.max() >= spec.vocabulary:
        raise DataError(
            f"observations that aren't ids were given; whole numbers from 0 to {spec.vocabulary - 1} are wanted"
        )
    ends = rows == spec.end
    after = np.arange(spec.limit) > ends.argmax(axis=1)[:, None]
    wrong = (ends.sum(axis=1) != 1) | ((rows == spec.padding) != after).any(axis=1) | (rows == spec.start).any(axis=1)
    if wrong.any():
        raise DataError(
            f"row {first + int(wrong.argmax())} isn't a sentence: ids from {spec.unknown} on are wanted, then one "
            f"{spec.end}, then {spec.padding} up to {spec.limit} in all"
        )
    return rows
