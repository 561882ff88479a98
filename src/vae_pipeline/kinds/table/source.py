"""A table from a file; what its columns are is read off their values where the recipe doesn't say it."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.parts import Array, Indices, TableSource
from vae_pipeline.kinds.spec import Column
from vae_pipeline.kinds.table import numbers
from vae_pipeline.kinds.table.columns import Outline, UndecidedColumnError
from vae_pipeline.kinds.table.files import TableFile
from vae_pipeline.kinds.table.frames import encode, texts
from vae_pipeline.kinds.table.spec import CsvFormat
from vae_pipeline.recipe.data import DateColumn, TableData, TableLabel
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import content_key, sha256_of


@dataclass(frozen=True)
class TableSurvey:
    """The findings of one way through a table's file."""

    file: TableFile
    rows: int
    columns: tuple[Column, ...]
    """Columns without knots."""
    labels: Indices | None
    groups: list[str] | None
    left_out: tuple[str, ...]
    csv: CsvFormat
    """The form of a text of rows, and of the numbers in it."""
    found: dict[str, dict[str, Any]]
    """Findings on each column, those left out too: its kind, how it is written, how many values it lacks and has."""
    doubts: dict[str, str]
    """Column: a sign among its texts that may stand for a missing value."""
    codes: dict[str, tuple[str, str]]
    """Column that is read as numbers: a code among its texts, and the kind that such a column is better told to be."""
    below: dict[str, str]
    """Column that is read as numbers: one of them in brackets, or with its minus behind it."""
    units: dict[str, int]
    """Column that looks like an id of what was observed several times: how many ids; none where rows are grouped."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes that a reader should look at."""
        return (
            *(
                f"column {name} holds {sign!r}: if that stands for a missing value, list it in data.missing"
                for name, sign in self.doubts.items()
            ),
            *(
                f"column {name} holds {code!r}, which is read as a number: if it is a code, set data.columns.{name} "
                f"to {kind}"
                for name, (code, kind) in self.codes.items()
            ),
            *(
                f"column {name} holds {text!r}, which is read as a negative number: if it is none, set "
                f"data.columns.{name} to category"
                for name, text in self.below.items()
            ),
            *(
                f"column {name} names {count:,} units in {self.rows:,} rows: rows of one may be both learned from and "
                f"measured on; data.split.groups {{column: {name}}} keeps them in one part"
                for name, count in self.units.items()
            ),
        )


def survey(data: TableData, finder: Finder) -> TableSurvey:
    """Look at all of the file that the recipe names.

    Raises:
        DataError: it can't be had or read, or a column isn't what the recipe says.
    """
    path = finder.find(data.file)
    named = {*data.columns, *_aside(data)}
    file = TableFile(path, CsvFormat(**data.csv.model_dump()), data.missing, sorted(named))
    outlines, labels, groups = _outline(file, data)
    left_out = {outline.name: reason for outline in outlines if (reason := outline.left_out())}
    kept = [outline for outline in outlines if outline.name not in left_out]
    if not kept:
        said = "; ".join(f"{name} {reason}" for name, reason in left_out.items())
        raise DataError(f"{path} has no column left to learn from: {said}")
    csv = CsvFormat() if file.csv is None else file.csv.format
    decimal, thousands = numbers.format_of({each.name: each.numbers for each in kept if each.is_number}, csv)
    return TableSurvey(
        file,
        outlines[0].rows,
        tuple(_column(outline, kept) for outline in kept),
        labels,
        groups,
        tuple(left_out),
        csv if file.csv is None else replace(csv, decimal=decimal, thousands=thousands),
        {outline.name: outline.described() for outline in outlines},
        {outline.name: sign for outline in kept if (sign := outline.doubt())},
        {outline.name: (code, outline.code_kind()) for outline in kept if (code := outline.code())},
        {outline.name: text for outline in kept if (text := outline.below())},
        {outline.name: count for outline in outlines if groups is None and (count := outline.units())},
    )


def _column(outline: Outline, all_of_them: Sequence[Outline]) -> Column:
    """The column of an outline; words among its numbers stand for no missing value where another column holds them.

    Raises:
        UndecidedColumnError: its values leave open what it is.
    """
    try:
        return outline.column()
    except UndecidedColumnError as error:
        words = {text for text in error.settled.get("missing", ()) if any(each.isalnum() for each in text)}
        other = next((each for each in all_of_them if each is not outline and each.values & words), None)
        if other is None:
            raise
        kind = outline.code_kind()
        raise UndecidedColumnError(
            f"column {outline.name} holds numbers and {min(other.values & words)!r}, which column {other.name} holds "
            f"too: say in data.columns what {outline.name} is, such as {kind}",
            outline.name,
            columns={outline.name: kind},
        ) from error


def open_table(data: TableData, finder: Finder) -> TableSource:
    """Read the file that the recipe names.

    Raises:
        DataError: it can't be had or read, or a column isn't what the recipe says.
    """
    seen = survey(data, finder)
    ignored = [name for name, kind in data.columns.items() if kind == "ignored"]
    path = seen.file.path
    return TableSource(
        columns=seen.columns,
        rows=_encoded(seen.file, seen.columns, (seen.csv.decimal or ".", seen.csv.thousands or "")),
        labels=seen.labels,
        scaling=data.scaling,
        cells=data.cells,
        counts=data.counts,
        dependent=data.dependent,
        one_class=data.one_class,
        valid=data.valid,
        test=data.test,
        ignored=(*ignored, *_aside(data), *seen.left_out),
        origins={data.file.path or path.name: data.file.digest or _digest(path)},
        csv=seen.csv,
        absent=data.missing,
        found=seen.found,
        notes=seen.notes,
        split=data.split,
        groups=seen.groups,
    )


def _digest(path: Path) -> str:
    if path.is_file():
        return f"sha256:{sha256_of(path)}"
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return f"sha256:{content_key([[file.relative_to(path).as_posix(), sha256_of(file)] for file in files])}"


def _aside(data: TableData) -> list[str]:
    """The columns that say something of rows and aren't learned: whether they are normal, and of which group."""
    label = [] if data.label is None else [data.label.column]
    return label if data.split.groups is None else [*label, str(data.split.groups.column)]


def _outline(file: TableFile, data: TableData) -> tuple[list[Outline], Indices | None, list[str] | None]:
    """Go through the file once, for its columns' outlines, the rows that are normal, and the group of each."""
    outlines: list[Outline] = []
    labels = []
    groups: list[str] | None = None if data.split.groups is None else []
    for frame in file.frames():
        outlines = outlines or _outlines(frame, file.path, data)
        for outline in outlines:
            outline.add(frame[outline.name])
        if data.label is not None:
            labels.append(_texts(frame[data.label.column], "labels the rows"))
        if groups is not None:
            groups += _texts(frame[_aside(data)[-1]], "groups the rows").tolist()
    return outlines, None if data.label is None else _labels(pd.concat(labels), data.label), groups


def _outlines(frame: pd.DataFrame, path: Path, data: TableData) -> list[Outline]:
    left_out = {name for name, kind in data.columns.items() if kind == "ignored"}
    left_out |= set(_aside(data))
    absent = sorted(({*data.columns} | left_out) - set(frame.columns))
    if absent:
        raise DataError(
            f"{path} has no column {', '.join(absent)}, which the recipe names; it has {', '.join(frame.columns)}"
        )
    outlines = [_told(name, data.columns.get(name)) for name in frame.columns if name not in left_out]
    if not outlines:
        raise DataError(f"{path} has no column left to learn from: the recipe leaves out {', '.join(sorted(left_out))}")
    return outlines


def _told(name: str, told: Any) -> Outline:
    return Outline(name, told.kind, told.format) if isinstance(told, DateColumn) else Outline(name, told)


def _encoded(file: TableFile, columns: Sequence[Column], written: numbers.Format) -> Array:
    """All rows as numbers, on the disk and mapped: they may be larger than the memory."""
    count = 0
    with tempfile.TemporaryFile() as content:
        for frame in file.frames():
            content.write(encode(frame, columns, str(file.path), written).data)
            count += len(frame)
        content.flush()
        return np.memmap(content, np.float64, "r", shape=(count, len(columns)))


def _texts(column: "pd.Series[object]", use: str) -> "pd.Series[str]":
    if column.isna().any():
        raise DataError(f"row {column.isna().idxmax()} has no value of {column.name}, which {use}")
    return texts(column)


def _labels(found: "pd.Series[str]", label: TableLabel) -> Indices:
    """0 of a normal row, else 1."""
    anomalous = np.asarray(found != texts(pd.Series([label.normal]))[0])
    if anomalous.all():
        some = ", ".join(sorted(found.unique())[:5])
        raise DataError(f"no row has {label.column} {label.normal!r}, as data.label.normal says: its values are {some}")
    return anomalous.astype(np.int64)
