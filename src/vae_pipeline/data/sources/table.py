"""A .csv, .parquet or .npz of rows; what its columns are is read off their values where the recipe doesn't say it."""

import numpy as np
import pandas as pd

from vae_pipeline.data.download import Finder
from vae_pipeline.data.frames import column_of, encode, read_frame, texts
from vae_pipeline.data.sources.parts import Indices, TableSource
from vae_pipeline.errors import DataError
from vae_pipeline.files import sha256_of
from vae_pipeline.recipe.data import TableData, TableLabel


def open_table(data: TableData, finder: Finder) -> TableSource:
    """Read the file that the recipe names.

    Raises:
        DataError: it can't be had or read, or a column isn't what the recipe says.
    """
    path = finder.find(data.file)
    frame = read_frame(path)
    named = {*data.columns, *([] if data.label is None else [data.label.column])}
    absent = sorted(named - set(frame.columns))
    if absent:
        raise DataError(
            f"{path} has no column {', '.join(absent)}, which the recipe names; it has {', '.join(frame.columns)}"
        )
    ignored = [name for name, kind in data.columns.items() if kind == "ignored"]
    labels = None
    if data.label is not None:
        labels = _labels(frame[data.label.column], data.label)
        ignored.append(data.label.column)
    kept = [name for name in frame.columns if name not in ignored]
    if not kept:
        raise DataError(f"{path} has no column left to learn from: the recipe leaves out {', '.join(ignored)}")
    kinds = {name: kind for name, kind in data.columns.items() if kind != "ignored"}
    columns = tuple(column_of(frame[name], kinds.get(name)) for name in kept)
    return TableSource(
        columns=columns,
        rows=encode(frame, columns, str(path)),
        labels=labels,
        scaling=data.scaling,
        one_class=data.one_class,
        valid=data.valid,
        test=data.test,
        ignored=tuple(ignored),
        origins={data.file.path or path.name: data.file.digest or f"sha256:{sha256_of(path)}"},
    )


def _labels(column: "pd.Series[object]", label: TableLabel) -> Indices:
    """0 of a normal row, else 1."""
    if column.isna().any():
        raise DataError(f"{int(column.isna().sum())} rows have no value of {label.column}, which labels them")
    found = texts(column)
    anomalous = np.asarray(found != label.normal)
    if anomalous.all():
        some = ", ".join(sorted(found.unique())[:5])
        raise DataError(f"no row has {label.column} {label.normal!r}, as data.label.normal says: its values are {some}")
    return anomalous.astype(np.int64)
