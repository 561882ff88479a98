"""A table beside scans: a CSV whose first column names each scan. No value of it is shown in a message."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vae_pipeline.kinds.folders import below
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.system.errors import DataError


@dataclass(frozen=True)
class Table:
    """Rows by the names of scans."""

    path: Path
    columns: Sequence[str]
    rows: Mapping[str, Sequence[str]]

    @classmethod
    def read(cls, path: Path) -> "Table":
        """Read a table.

        Raises:
            DataError: it can't be read, or a row is of another length, or names a scan twice.
        """
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                lines = [[field.strip() for field in line] for line in csv.reader(file) if line]
        except OSError as error:
            raise DataError(f"can't read {path}: {(error.strerror or '').lower()}") from None
        except (UnicodeDecodeError, csv.Error):
            raise DataError(f"{path} isn't a CSV in UTF-8: make it again") from None
        if len(lines) < 2 or len(lines[0]) < 2:
            raise DataError(f"{path} is no table of scans: columns' names and a row a scan, with commas, are wanted")
        columns, *rows = lines
        for number, row in enumerate(rows, 2):
            if len(row) != len(columns):
                raise DataError(f"row {number} of {path} has {len(row)} fields, and the first {len(columns)}: mend it")
        named = {row[0].replace("\\", "/").removeprefix("./"): row for row in rows}
        if len(named) < len(rows):
            raise DataError(f"{path} names {len(rows) - len(named)} scans twice: leave one row of each")
        return cls(path, columns, named)

    def column(self, name: str, scans: Listing) -> list[str]:
        """The value of a column for each scan.

        Raises:
            DataError: there is no such column, or a scan has no value in it.
        """
        if self.columns.count(name) != 1 or self.columns[0] == name:
            raise DataError(
                f"{self.path} has no column {name!r} beside its first, or two; it has {', '.join(self.columns[1:])}"
            )
        at = self.columns.index(name)
        files, relative = [PurePosixPath(path).name for path in scans.names], [*map(str, below(scans))]
        forms = (scans.names, relative, files if len({*files}) == len(files) else ())
        chosen = next((form for form in forms if form and all(path in self.rows for path in form)), None)
        if chosen is None:
            lacking = min(sum(path not in self.rows for path in form) for form in forms if form)
            raise DataError(
                f"{lacking} of {len(files)} scans of {scans.place} aren't in the first column of {self.path}: add "
                "their files' names or, where several have one name, their paths below the folder"
            )
        values = [self.rows[path][at] for path in chosen]
        if not all(values):
            raise DataError(f"{values.count('')} scans have nothing in the column {name!r} of {self.path}: fill it")
        return values
