"""A .csv, .parquet or .npz of rows; what its columns are is read off their values where the recipe doesn't say it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vae_pipeline.data.download import Finder
from vae_pipeline.data.frames import Outline, chunks, encode, texts
from vae_pipeline.data.sources.parts import Array, Indices, TableSource
from vae_pipeline.errors import DataError
from vae_pipeline.files import sha256_of
from vae_pipeline.recipe.data import TableData, TableLabel
from vae_pipeline.spec import Column


def open_table(data: TableData, finder: Finder) -> TableSource:
    """Read the file that the recipe names.

    Raises:
        DataError: it can't be had or read, or a column isn't what the recipe says.
    """
    path = finder.find(data.file)
    outlines, labels = _outline(path, data)
    columns = tuple(outline.column() for outline in outlines)
    ignored = tuple(name for name, kind in data.columns.items() if kind == "ignored")
    return TableSource(
        columns=columns,
        rows=_encoded(path, columns),
        labels=labels,
        scaling=data.scaling,
        one_class=data.one_class,
        valid=data.valid,
        test=data.test,
        ignored=ignored if data.label is None else (*ignored, data.label.column),
        origins={data.file.path or path.name: data.file.digest or f"sha256:{sha256_of(path)}"},
    )


def _outline(path: Path, data: TableData) -> tuple[list[Outline], Indices | None]:
    """One way through the file, for what its columns are and which rows are normal."""
    outlines: list[Outline] = []
    labels = []
    for frame in chunks(path):
        outlines = outlines or _outlines(frame, path, data)
        for outline in outlines:
            outline.add(frame[outline.name])
        if data.label is not None:
            labels.append(_label_texts(frame[data.label.column], data.label))
    return outlines, None if data.label is None else _labels(pd.concat(labels), data.label)


def _outlines(frame: pd.DataFrame, path: Path, data: TableData) -> list[Outline]:
    left_out = {name for name, kind in data.columns.items() if kind == "ignored"}
    left_out |= set() if data.label is None else {data.label.column}
    absent = sorted(({*data.columns} | left_out) - set(frame.columns))
    if absent:
        raise DataError(
            f"{path} has no column {', '.join(absent)}, which the recipe names; it has {', '.join(frame.columns)}"
        )
    kinds = {name: kind for name, kind in data.columns.items() if kind != "ignored"}
    outlines = [Outline(name, kinds.get(name)) for name in frame.columns if name not in left_out]
    if not outlines:
        raise DataError(f"{path} has no column left to learn from: the recipe leaves out {', '.join(sorted(left_out))}")
    return outlines


def _encoded(path: Path, columns: Sequence[Column]) -> Array:
    """All rows as numbers, on the disk and mapped: they may be larger than the memory."""
    count = 0
    with tempfile.TemporaryFile() as file:
        for frame in chunks(path):
            file.write(encode(frame, columns, str(path)).data)
            count += len(frame)
        file.flush()
        return np.memmap(file, np.float32, "r", shape=(count, len(columns)))


def _label_texts(column: "pd.Series[object]", label: TableLabel) -> "pd.Series[str]":
    if column.isna().any():
        raise DataError(f"row {column.isna().idxmax()} has no value of {label.column}, which labels the rows")
    return texts(column)


def _labels(found: "pd.Series[str]", label: TableLabel) -> Indices:
    """0 of a normal row, else 1."""
    anomalous = np.asarray(found != label.normal)
    if anomalous.all():
        some = ", ".join(sorted(found.unique())[:5])
        raise DataError(f"no row has {label.column} {label.normal!r}, as data.label.normal says: its values are {some}")
    return anomalous.astype(np.int64)
