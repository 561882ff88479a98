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
from vae_pipeline.kinds.table.frames import decode
from vae_pipeline.system.errors import DataError
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
        DataError: a value has no place in a .parquet file.
    """
    frames = (decode(piece, columns, drawn, short=True) for piece in pieces)
    suffix = out.suffix.lower()
    with replaced_file(out) as file:
        if suffix == ".parquet":
            # Gaps and values decide the types of all pieces.
            types = np.array([[0.0] * len(columns), [np.nan if column.missing else 0.0 for column in columns]])
            _write_parquet(file, frames, decode(types, columns, drawn, short=True), origin)
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
    schema = _table(like).schema
    # Of a stored schema readers would take the metadata, which are known at the end alone.
    with parquet.ParquetWriter(file, schema, store_schema=False) as writer:
        for group in _groups(frames):
            try:
                writer.write_table(_table(group).cast(schema))
            except pa.ArrowInvalid as error:  # of an unbounded family a whole number may be too large for one
                raise DataError(f"a drawn value isn't of its column's type ({error}): write .csv instead") from error
        told = json.dumps({"synthetic": True, **origin()})
        writer.add_key_value_metadata({**schema.metadata, KEY: told})


def _table(frame: pd.DataFrame) -> pa.Table:
    """A frame as Arrow has it; dates are in UTC, which Arrow's own reading of a frame takes by a deprecated way."""
    naive = {name: frame[name].dt.tz_localize(None) for name in frame.select_dtypes("datetimetz")}
    table = pa.Table.from_pandas(frame.assign(**naive), preserve_index=False)
    in_utc = [field.with_type(pa.timestamp("ms", "UTC")) if field.name in naive else field for field in table.schema]
    return table.cast(pa.schema(in_utc, table.schema.metadata))


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
