"""Files of rows that nobody observed: each says so, in its metadata or in a file beside it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from vae_pipeline.kinds.spec import Column
from vae_pipeline.kinds.table.exact import shortest
from vae_pipeline.kinds.table.frames import decode
from vae_pipeline.system.files import replaced_file, write_json

BESIDE = ".synthetic.json"
"""The end of the name of the file beside a .csv or .npy that says what its rows are."""
DAY = "%Y-%m-%d"
KEY = "synthetic"
"""The key of the metadata of a .parquet file that says it."""
GROUP = 2**16
"""Rows of a group of a .parquet file."""
Rows = npt.NDArray[Any]


def write_synthetic(
    out: Path,
    pieces: Iterable[Rows],
    columns: Sequence[Column],
    origin: Callable[[], Mapping[str, Any]],
    drawn: bool = True,
) -> None:
    """Write rows in the data's units as .csv, .parquet or .npy, with what is to be known of them.

    They are written a piece at a time, but for .npy, and `origin` is asked once all are made; `drawn` are rows that
    aren't means.

    Raises:
        OutputError: the file can't be written.
    """
    shortened = [column.name for column in columns if column.kind == "number" and not column.offset and not column.step]
    frames = (_frame(piece, columns, shortened, drawn) for piece in pieces)
    suffix = out.suffix.lower()
    with replaced_file(out) as file:
        if suffix == ".parquet":
            # Gaps and values decide the types of all pieces.
            types = np.array([[0.0] * len(columns), [np.nan if column.missing else 0.0 for column in columns]])
            _write_parquet(file, frames, _frame(types, columns, shortened, drawn), origin)
            return
        if suffix == ".npy":
            np.save(file, np.concatenate(list(pieces)))
        else:
            _write_csv(file, frames, columns)
        file.flush()
        write_json(out.with_name(out.name + BESIDE), {"synthetic": True, **origin()})


def _write_csv(file: BinaryIO, frames: Iterable[pd.DataFrame], columns: Sequence[Column]) -> None:
    dates = {column.name: column.written or DAY for column in columns if column.kind == "date" and _written(column)}
    for index, frame in enumerate(frames):
        texts = frame.assign(**{name: frame[name].dt.strftime(form) for name, form in dates.items()})
        texts.to_csv(file, index=False, header=index == 0)


def _write_parquet(
    file: BinaryIO, frames: Iterable[pd.DataFrame], like: pd.DataFrame, origin: Callable[[], Mapping[str, Any]]
) -> None:
    schema = pa.Schema.from_pandas(like, preserve_index=False)
    with parquet.ParquetWriter(file, schema) as writer:
        for group in _groups(frames):
            writer.write_table(pa.Table.from_pandas(group, schema, preserve_index=False))
        writer.add_key_value_metadata({KEY: json.dumps({"synthetic": True, **origin()})})


def _groups(frames: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    waiting: list[pd.DataFrame] = []
    for frame in frames:
        waiting.append(frame)
        if sum(map(len, waiting)) >= GROUP:
            yield pd.concat(waiting, ignore_index=True)
            waiting = []
    if waiting:
        yield pd.concat(waiting, ignore_index=True)


def _written(column: Column) -> bool:
    """True if the form of a column's dates is known: the data's own, or that of whole days."""
    return bool(column.written) or (column.step >= 1 and column.step.is_integer())


def _frame(rows: Rows, columns: Sequence[Column], shortened: Sequence[str], drawn: bool) -> pd.DataFrame:
    """A piece as it is written: numbers of float32 with as few digits as tell them from their neighbours."""
    found = decode(rows, columns, steps=drawn)
    return found.assign(**{name: shortest(found[name].to_numpy()) for name in shortened})
