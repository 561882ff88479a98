"""Files of rows that nobody observed: each says so, in its metadata or in a file beside it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from vae_pipeline.kinds.spec import Column
from vae_pipeline.system.files import replaced_file, write_json

BESIDE = ".synthetic.json"
"""The end of the name of the file beside a .csv that says what its rows are."""
DAY = "%Y-%m-%d"
KEY = b"synthetic"
"""The key of the metadata of a .parquet file that says it."""


def write_synthetic(
    out: Path, pieces: Iterable[pd.DataFrame], columns: Sequence[Column], origin: Mapping[str, Any]
) -> int:
    """Write drawn rows as .csv, some at a time, or as .parquet, with what is to be known of them; returns how many.

    Raises:
        OutputError: the file can't be written.
    """
    shortest = [column.name for column in columns if column.kind == "number" and not column.offset and not column.step]
    said, count = {"synthetic": True, **origin}, 0
    written = (_as_written(piece, shortest) for piece in pieces)
    if out.suffix.lower() == ".parquet":
        table = pa.Table.from_pandas(pd.concat(written, ignore_index=True), preserve_index=False)
        told = {**(table.schema.metadata or {}), KEY: json.dumps(said).encode()}
        with replaced_file(out) as file:
            parquet.write_table(table.replace_schema_metadata(told), file)
        return len(table)
    dates = {column.name: column.written or DAY for column in columns if column.kind == "date" and _written(column)}
    with replaced_file(out) as file:
        for piece in written:
            piece = piece.assign(**{name: piece[name].dt.strftime(form) for name, form in dates.items()})  # noqa: PLW2901
            piece.to_csv(file, index=False, header=count == 0)
            count += len(piece)
    write_json(out.with_name(out.name + BESIDE), said | {"rows": count})
    return count


def _written(column: Column) -> bool:
    """True if the form of a column's dates is known: the data's own, or that of whole days."""
    return bool(column.written) or (column.step >= 1 and column.step.is_integer())


def _as_written(piece: pd.DataFrame, shortest: Sequence[str]) -> pd.DataFrame:
    """Numbers of float32 with as few digits as tell them from their neighbours."""
    return piece.assign(**{
        name: piece[name].to_numpy(np.float32).astype(str).astype(np.float64) for name in shortest
    })  # fmt: skip
