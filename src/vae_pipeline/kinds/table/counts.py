"""Columns of a table that count something: whole numbers from 0 up, which are neither scaled nor moved."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from vae_pipeline.kinds.parts import Array, TableSource
from vae_pipeline.kinds.spec import CLIP, Column
from vae_pipeline.kinds.table.spec import require_counts
from vae_pipeline.system.errors import DataError

MOST = 2**24
"""Whole numbers up to it are float32's."""
QUANTILES = 101
CHUNK = 2**16  # rows


def counts_of(source: TableSource) -> tuple[Column, ...]:
    """The columns that count, which the source names, each once and in the order of the table.

    Raises:
        DataError: a name is of no column, or of one that holds no numbers, or a value counts nothing.
    """
    named = _named(source)
    for start in range(0, len(source.rows) if named else 0, CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(source.rows)))
        values = np.array(source.rows[rows])
        for column in named:
            require_exact(column.name, values[:, source.columns.index(column)], rows)
    return named


def _named(source: TableSource) -> tuple[Column, ...]:
    if source.counts is None:
        return ()
    numbers = {column.name: column for column in source.columns if column.kind == "number"}
    if source.counts == "all":
        if not numbers:
            raise DataError("data.counts is all, and no column holds numbers: leave it out")
        return tuple(numbers.values())
    others = [name for name in source.counts if name not in numbers]
    if others:
        raise DataError(
            f"data.counts names {', '.join(others)}, and no column of numbers is called so; there are "
            f"{', '.join(list(numbers)[:12]) or 'none'}"
        )
    return tuple(column for name, column in numbers.items() if name in source.counts)


def require_exact(name: str, values: Array, rows: Array) -> None:
    """Refuse values of a column of counts that aren't, or that float32 doesn't hold; `rows` are their numbers.

    Raises:
        DataError: names the first one.
    """
    require_counts(name, values, rows)
    great = values > MOST
    if great.any():
        at = int(great.argmax())
        raise DataError(
            f"column {name} holds {values[at]:.10g} in row {rows[at]}, and float32 knows whole numbers up to {MOST:,}: "
            "count in thousands, or leave the column out of data.counts"
        )


def fit_counts(column: Column, present: Array) -> Column:
    """The column with its extremes, and its mean and deviation as two knots; one count is the least deviation."""
    middle, scale = float(present.mean()), max(float(present.std()), 1.0)
    return dataclasses.replace(
        column,
        knots=((middle - CLIP * scale, -CLIP), (middle + CLIP * scale, CLIP)),
        step=1.0,
        extent=(float(present.min()), float(present.max())),
    )


def totals_of(chunks: Iterable[Array], counts: Sequence[int]) -> tuple[float, ...]:
    """Quantiles of the sums of the columns with these indices, where they aren't missing.

    Raises:
        DataError: no row counts anything.
    """
    if not counts:
        return ()
    totals = np.concatenate([np.nansum(rows[:, list(counts)], axis=1) for rows in chunks])
    if not totals.any():
        raise DataError("the columns of data.counts are 0 in all rows of the training part: leave them out")
    return tuple(np.quantile(totals, np.linspace(0, 1, QUANTILES)).tolist())
