"""Rows of a table, split and written in the one on-disk form; what is fitted is fitted to the training part.

Where there is one class, train and valid hold normal rows alone, and test the rest of them with every anomaly.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.division import Division, Fractions, divide, row_hash
from vae_pipeline.kinds.mapped import save_array
from vae_pipeline.kinds.parts import Array, Indices, TableSource
from vae_pipeline.kinds.shards import RowFiles, paths_of
from vae_pipeline.kinds.spec import ANOMALIES, Column, TableSpec
from vae_pipeline.kinds.splitting import duplicates, split_card, told
from vae_pipeline.kinds.table.cells import cells_of, step_of
from vae_pipeline.kinds.table.counts import counts_of, fit_counts, totals_of
from vae_pipeline.kinds.table.dependence import ROWS, dependent
from vae_pipeline.kinds.table.follows import Follows
from vae_pipeline.kinds.table.records import MOST
from vae_pipeline.kinds.table.scaling import LEAST, knots_of
from vae_pipeline.kinds.table.spec import MOST_VALUES, centre
from vae_pipeline.recipe.data import ColumnScaling
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import write_json

NOISE = 1e-13  # of a value, by which arithmetic in float64 may be off: a column that varies by less is constant
FITTED = 1_000_000  # rows
CHUNK = 2**16  # rows


def write_table(source: TableSource, folder: Path, seed: int, shards: int | None = None) -> None:
    """Split `source`, fit its columns, and write all into `folder`, some rows at a time, the training part in `shards`.

    Raises:
        DataError: a part comes out empty, or a column holds nothing in the training part.
    """
    division = split_table(source, seed)
    parts = division.rows
    counts = counts_of(source)
    columns = _fit(source, parts["train"], counts)
    card: dict[str, Any] = {
        "examples": {name: len(indices) for name, indices in parts.items()},
        "shape": [len(columns)],
        "dtype": "float32",
        "columns": {},
        "classes": {},
        "origins": source.origins,
        "csv": dataclasses.asdict(source.csv),
        "found": source.found,
        "dropped": {"duplicate": division.left_out} if division.left_out else {},
        "split": split_card("one_class" if source.one_class else "random", parts, source.split),
    }
    hashes = {}
    for name, indices in parts.items():
        summary = _Summary(columns)
        with RowFiles(paths_of(folder, name, len(indices), shards), len(indices), [len(columns)], "<f4") as files:
            hashes[name] = _write_rows(files, source, columns, indices, summary)
        if name == "train":
            card["columns"] = summary.to_dict()
        if source.labels is not None:
            labels = source.labels[indices]
            save_array(folder / f"{name}_labels.npy", labels)
            found = np.bincount(labels, minlength=len(ANOMALIES))
            card["classes"][name] = dict(zip(ANOMALIES, found.tolist(), strict=True))
    card["duplicates"] = duplicates(hashes)
    card["notes"] = [*source.notes, *division.notes, *told(card)]
    classes = () if source.labels is None else ANOMALIES
    follows = _follows(source, parts["train"], columns) if source.dependent else ()
    totals = totals_of(_chunks(source, parts["train"]), [source.columns.index(each) for each in counts])
    TableSpec(
        tuple(columns), source.ignored, classes, csv=source.csv, absent=source.absent,
        counts=tuple(each.name for each in counts), totals=totals, follows=follows,
    ).save(folder / "spec.json")  # fmt: skip
    write_json(folder / "card.json", card)


def _fit(source: TableSource, train: Indices, counted: Sequence[Column]) -> list[Column]:
    """Scalings by at most a million rows, at even distances; the values of a category by all."""
    sample = source.rows[train[:: -(-len(train) // FITTED)]]
    fitted = [
        fit_column(column, sample[:, index], source.scaling, source.cells, counts=column in counted)
        for index, column in enumerate(source.columns)
    ]
    categories = [index for index, column in enumerate(fitted) if column.kind == "category"]
    counts = {index: np.zeros(len(source.columns[index].values), int) for index in categories}
    for rows in _chunks(source, train) if categories else ():
        for index in categories:
            codes = rows[:, index][~np.isnan(rows[:, index])].astype(int)
            counts[index] += np.bincount(codes, minlength=len(counts[index]))
    for index, found in counts.items():
        fitted[index] = _of_counts(fitted[index], source.columns[index].values, found)
    return fitted


def _follows(source: TableSource, train: Indices, columns: Sequence[Column]) -> tuple[Follows, ...]:
    """Columns that follow in the training part, in the codes of those that were fitted."""
    rows = np.array(source.rows[train[:ROWS]])
    for at, (before, after) in enumerate(zip(source.columns, columns, strict=True)):
        if after.kind == "category":
            codes = rows[:, at]
            table = _recoding(before, after).astype(np.float64)
            rows[:, at] = table[np.where(np.isnan(codes), len(table) - 1, codes).astype(int)]
    return dependent(rows, columns)


def _chunks(source: TableSource, indices: Indices) -> Iterator[Array]:
    for start in range(0, len(indices), CHUNK):
        yield np.array(source.rows[indices[start : start + CHUNK]])


def _write_rows(
    files: RowFiles, source: TableSource, columns: list[Column], indices: Indices, summary: "_Summary"
) -> Array:
    """Fill the files of a part; returns a hash of each row."""
    tables = {
        index: _recoding(before, after)
        for index, (before, after) in enumerate(zip(source.columns, columns, strict=True))
        if after.kind == "category"
    }
    hashes: list[Array] = []
    for start, values in enumerate(_chunks(source, indices)):
        rows = centre(values, columns)
        empty = np.flatnonzero(np.isnan(rows).all(axis=1))
        if len(empty):
            raise DataError(f"row {indices[start * CHUNK + empty[0]]} of the table holds no value at all: leave it out")
        for index, table in tables.items():
            codes = rows[:, index]
            rows[:, index] = table[np.where(np.isnan(codes), len(table) - 1, codes).astype(int)]
        files.write(rows.astype("<f4", copy=False))
        summary.add(rows)
        hashes.append(_hashes(rows))
    return np.concatenate([np.empty(0, np.uint64), *hashes])


def _hashes(rows: Array) -> npt.NDArray[np.uint64]:
    return np.array([row_hash(row.tobytes()) for row in rows], np.uint64)


def _recoding(before: Column, after: Column) -> Array:
    """The new code of each old one: its value's place among those of the training part, or one past them; last, NaN."""
    place = {value: code for code, value in enumerate(after.values)}
    return np.array([*(place.get(value, len(place)) for value in before.values), np.nan], np.float32)


class _Summary:
    """Figures of each column, for a reader."""

    def __init__(self, columns: list[Column]) -> None:
        self.columns = columns
        self.count, self.present, self.total = 0, np.zeros(len(columns), int), np.zeros(len(columns))
        self.least, self.most = np.full(len(columns), np.inf), np.full(len(columns), -np.inf)
        self.counts = [np.zeros(len(column.values), int) for column in columns]

    def add(self, rows: Array) -> None:
        missing = np.isnan(rows)
        self.count += len(rows)
        self.present += (~missing).sum(axis=0)
        self.total += np.where(missing, 0.0, rows).sum(axis=0, dtype=np.float64)
        self.least = np.minimum(self.least, np.where(missing, np.inf, rows).min(axis=0))
        self.most = np.maximum(self.most, np.where(missing, -np.inf, rows).max(axis=0))
        for index, column in enumerate(self.columns):
            if column.values:  # the class past the last has no name
                codes = rows[~missing[:, index], index].astype(int)
                self.counts[index] += np.bincount(codes, minlength=len(column.values))[: len(column.values)]

    def to_dict(self) -> dict[str, Any]:
        return {column.name: self._column(index, column) for index, column in enumerate(self.columns)}

    def _column(self, index: int, column: Column) -> dict[str, Any]:
        found: dict[str, Any] = {"kind": column.kind, "missing": int(self.count - self.present[index])}
        if column.kind == "category":
            return found | {"counts": dict(zip(column.values, self.counts[index].tolist(), strict=True))}
        mean = self.total[index] / self.present[index]
        figures = {"min": self.least[index], "max": self.most[index], "mean": mean}
        return found | {name: float(value) + column.offset for name, value in figures.items()}


def split_table(source: TableSource, seed: int) -> Division:
    """The rows of each part, by a hash of the seed and the row's index: rows that are appended move no other.

    Raises:
        DataError: a part that is wanted comes out empty.
    """
    count = len(source.rows)
    apart = source.labels == 1 if source.one_class and source.labels is not None else np.zeros(count, bool)
    numbers = np.arange(1, count + 1, dtype=np.uint64)
    division = divide(
        source.split,
        Fractions(source.valid, source.test),
        seed,
        numbers,
        apart,
        source.groups,
        lambda: np.concatenate([_hashes(rows) for rows in _chunks(source, np.arange(count))]),
    )
    for name, indices in division.rows.items():
        if not len(indices) and (name != "valid" or source.valid):
            raise DataError(
                f"the {name} part is empty: {count} rows, {int(apart.sum())} of them kept for the test part, are too "
                "few for the fractions in the recipe; give more data or other fractions"
            )
    return division


def fit_column(
    column: Column, values: Array, scaling: ColumnScaling, cells: int | None = None, counts: bool = False
) -> Column:
    """The column with its offset, knots and, where they are asked for, cells; `values` are in its own units, float64.

    Raises:
        DataError: no value is present, or they differ by less or by more than a float32 can.
    """
    present = values[~np.isnan(values)]
    if not len(present):
        raise DataError(
            f"column {column.name} holds no value in the training part: set data.columns.{column.name} to ignored"
        )
    if counts:
        return fit_counts(column, present)
    match column.kind:
        case "number" | "date":
            column = dataclasses.replace(column, offset=_offset(present))
            spread = float(np.ptp(present))
            if 0 < spread <= LEAST:
                raise DataError(
                    f"column {column.name} holds values that differ by {spread:.1e}, which float32 can't tell: give "
                    "them in a smaller unit"
                )
            centred = centre(present[:, None], [column])[:, 0]
            knots = knots_of(centred, scaling)
            if not knots[-1][0] - knots[0][0] <= MOST:
                raise DataError(
                    f"column {column.name} holds values from {present.min():.1e} to {present.max():.1e}, whose scaling "
                    "float32 can't hold: give them in a larger unit, or their logarithm"
                )
            return dataclasses.replace(
                column,
                knots=knots,
                step=step_of(present, column.kind == "date"),
                extent=(float(centred.min()), float(centred.max())),
                cells=cells_of(centred, cells) if cells else (),
            )
        case "boolean":
            return dataclasses.replace(column, knots=((0.0, 0.0), (1.0, 1.0)))
        case "category":
            return _of_values(column, column.values)
        case _:
            assert_never(column.kind)


def _of_counts(column: Column, values: tuple[str, ...], counts: Array) -> Column:
    """A category's column with the values that occur; of too many the rarer ones come last, and are pooled."""
    known = np.flatnonzero(counts)
    if len(known) <= MOST_VALUES:
        return _of_values(column, tuple(values[code] for code in known))
    often = known[np.argsort(-counts[known], kind="stable")]
    frequent, pool = np.sort(often[:MOST_VALUES]), np.sort(often[MOST_VALUES:])
    shares = counts[pool] / counts[pool].sum()
    column = _of_values(column, tuple(values[code] for code in [*frequent, *pool]))
    return dataclasses.replace(column, pooled=tuple(shares.tolist()))


def _of_values(column: Column, values: tuple[str, ...]) -> Column:
    """A category's column with its values, whose codes aren't scaled."""
    size = float(len(values))
    return dataclasses.replace(column, values=values, knots=((0.0, 0.0), (size, size)))


def _offset(present: Array) -> float:
    """0 where float32 leaves a spread 12 bits or more, or 8 and holds each value exactly; else about their mean.

    It is round in units of the spread, so that whole numbers and days stay whole.
    """
    middle, spread = float(present.mean()), float(present.std())
    if spread <= NOISE * abs(middle):
        return float(present[0])  # of a constant itself, so that any change of it is told
    if abs(middle) <= 2**8 * spread:
        return 0.0
    if abs(middle) <= 2**12 * spread and np.array_equal(present, present.astype(np.float32)):
        return 0.0
    step = 10.0 ** math.ceil(math.log10(spread))
    return round(middle / step) * step
