"""Tables from files, some rows at a time."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api import types
from pyarrow import dataset, parquet

from vae_pipeline.kinds.spec import TableSpec
from vae_pipeline.kinds.table import numbers
from vae_pipeline.kinds.table.csv_files import CsvFile, look
from vae_pipeline.kinds.table.frames import plain
from vae_pipeline.kinds.table.records import require_columns
from vae_pipeline.kinds.table.spec import MISSING, SUFFIXES, CsvFormat
from vae_pipeline.kinds.text.files import encoding_of, opened
from vae_pipeline.system.errors import DataError

FOUND = CsvFormat()
ROWS = 2**16  # read at a time


class TableFile:
    """A table in a file, whose kind its name tells; what isn't Parquet, .npz or .jsonl is a text of rows."""

    def __init__(
        self, path: Path, told: CsvFormat = FOUND, absent: Sequence[str] | None = (), names: Sequence[str] = (),
        usual: CsvFormat | None = None,
    ) -> None:  # fmt: skip
        """Look at its beginning.

        Missing are empty fields, NA, null and their like, and the texts of `absent`; with None, no text is. `names` are
        columns that must be in it; what is left open is as in the `usual` file, if there is one.

        Raises:
            DataError: the file isn't there, or it can't be told how it is written.
        """
        if not path.exists():
            raise DataError(f"{path} isn't there: mend the path")
        self.path, self.absent = path, absent
        name = path.name.lower()
        other = path.is_dir() or name.endswith((".parquet", ".npz", ".jsonl"))
        self.csv: CsvFile | None = None if other else look(path, told, names, usual)

    def frames(self) -> Iterator[pd.DataFrame]:
        """All rows, so many at a time that memory doesn't grow with them; the index counts them.

        Raises:
            DataError: the file is empty or corrupt, or a column holds what no table of this kind does.
        """
        start = 0
        try:
            for frame in self._read():
                for at in range(0, len(frame), ROWS):
                    part = frame[at : at + ROWS]
                    part = part.set_axis(part.columns.astype(str), axis=1).set_axis(range(start, start + len(part)))
                    yield self._without_absent(plain(part, str(self.path)))
                    start += len(part)
        except (DataError, MemoryError):
            raise
        except Exception as error:  # of a corrupt file, pandas, pyarrow and numpy raise nearly anything
            raise DataError(f"{self.path} isn't a whole table of kind {', '.join(SUFFIXES)} ({error})") from error
        if start == 0:
            raise DataError(f"{self.path} holds no rows: name a file that does")

    def _read(self) -> Iterator[pd.DataFrame]:
        name = self.path.name.lower()
        if self.csv is not None:
            for piece in self.csv.pieces():
                yield piece.to_pandas()
        elif self.path.is_dir():
            parts = dataset.dataset(self.path, format="parquet", partitioning="hive", exclude_invalid_files=False)
            for batch in parts.to_batches(batch_size=ROWS):
                yield batch.to_pandas()
        elif name.endswith(".parquet"):
            with parquet.ParquetFile(self.path) as file:
                for batch in file.iter_batches(ROWS):
                    yield batch.to_pandas()
        elif name.endswith(".jsonl"):
            yield _read_json(self.path)
        else:
            yield _read_npz(self.path)

    def _without_absent(self, frame: pd.DataFrame) -> pd.DataFrame:
        if self.absent is None:
            return frame
        words = set(self.absent) | (MISSING if self.csv else set())
        absent = [float(word) for word in self.absent if _is_number(word)]
        found = {}
        for name, values in frame.items():
            if isinstance(values.dtype, pd.StringDtype):
                bare = values.str.strip() if self.csv else values
                found[name] = bare.mask(bare.isin(words))
            else:
                found[name] = values.mask(values.isin(absent)) if absent and types.is_float_dtype(values) else values
        return pd.DataFrame(found, index=frame.index)


@dataclass(frozen=True)
class FoundRows:
    """The rows of a file that has the columns of a spec."""

    file: TableFile
    count: int
    written: numbers.Format
    """The format of its numbers."""


def find_rows(path: Path, spec: TableSpec, beside: Sequence[str] = ()) -> FoundRows:
    """Go through a table with the columns of a spec, and some `beside` them, for how its numbers are written.

    Where it may be written in many ways, it is read as the spec's own file was. A text that is a gap in .csv is one in
    any file, unless a column of the spec has it as a value.

    Raises:
        DataError: the file isn't there, is empty or corrupt, lacks a column or has another, or isn't a table.
    """
    wanted = [column.name for column in spec.columns]
    gaps = MISSING.difference(*(column.values for column in spec.columns))
    file = TableFile(path, absent=sorted(gaps.union(spec.absent)), names=wanted, usual=spec.csv)
    found = {column.name: numbers.Writing() for column in spec.columns if column.kind == "number"}
    count = 0
    for frame in file.frames():
        require_columns(frame.columns, spec, str(path), beside)
        count += len(frame)
        for name, writing in found.items():
            if isinstance(frame[name].dtype, pd.StringDtype):
                writing.add(pd.Series(frame[name].dropna().unique()))
    told = FOUND if file.csv is None else file.csv.format
    usual = (spec.csv.decimal or ".", spec.csv.thousands or "")
    plain_numbers = {name: writing for name, writing in found.items() if not writing.durations}
    return FoundRows(file, count, numbers.format_of(plain_numbers, told, [usual]))


def _read_json(path: Path) -> pd.DataFrame:
    """An object a line."""
    rows = []
    with opened(path, encoding_of(path)) as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line) if line.strip() else None
            except ValueError as error:
                raise DataError(f"{path}: line {number} isn't JSON ({error})") from error
            if not isinstance(row, dict | None):
                raise DataError(f"{path}: line {number} isn't an object of names and values: {line.strip()[:60]}")
            rows += [] if row is None else [row]
    return pd.DataFrame(rows)


def _read_npz(path: Path) -> pd.DataFrame:
    """`X` and `y`, as ADBench has them; with `columns`, the names of X's."""
    with np.load(path, allow_pickle=False) as archive:
        if "X" not in archive or archive["X"].ndim != 2:
            raise DataError(f"{path} holds the arrays {', '.join(archive)}: a table X [rows, columns] is wanted")
        x = archive["X"]
        x = x.astype(x.dtype.newbyteorder("="))
        names = archive["columns"] if "columns" in archive else [f"x{index}" for index in range(x.shape[1])]
        frame = pd.DataFrame(x, columns=names)
        return frame.assign(y=archive["y"]) if "y" in archive else frame


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
