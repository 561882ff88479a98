"""Text files of rows: how one is written is found at its beginning, or told, and holds to its last row.

Which character separates is found by clevercsv, which encoding by chardet. What stays open is refused, in a line that
names the option that settles it.

Source: van den Burg, Nazabal and Sutton, Wrangling Messy CSV Files by Detecting Row and Type Patterns, 2019.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import dropwhile, islice
from pathlib import Path

import clevercsv
import pyarrow as pa
from pyarrow import csv as arrow

from vae_pipeline.kinds.table.spec import CsvFormat
from vae_pipeline.kinds.text.files import encoding_of, opened
from vae_pipeline.system.errors import DataError

SAMPLE = 200  # lines that are looked at, at most; clevercsv tries all of them for each character that may separate
LONGEST = 2**16  # characters of them, but three lines in any case
PIECE = 2**23  # bytes
ROW_NAMES = "row names"
NONE = "\x1f"  # for a file of one column: a separator that no text holds
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*')
NUMBER = re.compile(r"[-+]?[\d.,]*\d[\d.,]*(e[-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class CsvFile:
    """A text file of rows, of which the first were looked at."""

    path: Path
    format: CsvFormat
    """The way the file is written; that of its numbers is known once all rows are read."""
    names: tuple[str, ...]
    """Names of the columns; where the header has none for one, `Unnamed: 0`, counted from 0."""
    shorter: bool = False
    """True if the header lacks a field: R gives row names none, and others end each row by a separator."""

    def pieces(self) -> Iterator[pa.Table]:
        """All rows as texts, some at a time.

        Raises:
            DataError: a row has more or fewer fields than the first ones, or a character isn't of the encoding.
        """
        wrong: list[arrow.InvalidRow] = []
        header = bool(self.format.header)

        def judge(row: arrow.InvalidRow) -> str:
            nonlocal header
            if header and self.shorter:
                header = False
                return "skip"
            wrong.append(row)
            return "error"

        parse = arrow.ParseOptions(
            delimiter=self.format.separator or NONE, quote_char=self.format.quote or False, newlines_in_values=True,
            invalid_row_handler=judge,
        )  # fmt: skip
        texts = arrow.ConvertOptions(column_types=dict.fromkeys(self.names, pa.string()), strings_can_be_null=False)
        read = arrow.ReadOptions(column_names=list(self.names), use_threads=False, block_size=PIECE)
        try:
            with (
                rows_of(self.path, self.format) as rows,
                arrow.open_csv(_Content(rows), read, parse, texts) as batches,
            ):
                for batch in batches:
                    table = pa.Table.from_batches([batch])
                    yield table[1:] if header else table
                    header = False
        except pa.ArrowInvalid as error:
            if not wrong:
                raise DataError(f"{self.path} can't be read ({error}): say in data.csv how it is written") from error
            row = wrong[0]
            raise DataError(
                f"{self.path}: the row {row.text[:60]!r} has {row.actual_columns} fields, and its columns are "
                f"{row.expected_columns}: is the file cut short, or does a text hold {self.format.separator!r} without "
                "quotes around it?"
            ) from error


def look(path: Path, told: CsvFormat, names: Sequence[str] = (), usual: CsvFormat | None = None) -> CsvFile:
    """Find out how a file is written, as far as it isn't told.

    Columns that must be in it, by `names`, tell a header; what is left open is as in the `usual` file, if there is one.

    Raises:
        DataError: the file can't be read, is no text, has two columns of one name, or can be read in several ways.
    """
    usual_encoding = usual.encoding if usual else None
    if told.names is not None:
        told = replace(told, header=False)
    told = replace(told, encoding=encoding_of(path, told.encoding or usual_encoding))
    with opened(path, str(told.encoding)) as lines:
        first = next(lines, "")
    if told.separator is None and (said := SEPARATOR_LINE.fullmatch(first)):
        told = replace(told, separator=said[1])
    if told.comment is None and first.startswith("#"):
        told = replace(told, comment="#")
    sample = _sample(path, told)
    if not sample:
        raise DataError(f"{path} holds no rows: name a file that does")
    found = _dialect(path, sample, told, names, usual)
    sample = _sample(path, found)  # anew: where blanks align columns, several are one
    rows = [row for row in _split(sample, found) if row]
    widths = Counter(len(row) for row in rows[1:])
    width = widths.most_common(1)[0][0] if widths else len(rows[0])
    header_told = told.header if usual is None or set(names) <= {*_bare(rows[0])} else usual.header
    found = replace(found, header=_header(path, rows, header_told, names))
    if not found.header:
        if found.names is not None and len(found.names) != width:
            raise DataError(
                f"{path}: its rows have {width} fields, and data.csv.names has {len(found.names)} names: give one each"
            )
        return CsvFile(path, found, found.names or tuple(f"x{at}" for at in range(width)))
    header, whole = _bare(rows[0]), [row for row in rows[1:] if len(row) == width]
    shorter = ends = False
    if len(header) == width - 1:
        ends = all(not row[-1].strip() for row in whole)
        counted = [row[0] for row in whole] == [str(at) for at in range(1, len(whole) + 1)]
        shorter = ends or counted or all(line.startswith(str(found.quote)) for line in sample[1:])
    if shorter:
        header = [*header, ""] if ends else [ROW_NAMES, *header]
    if len(header) != width:
        raise DataError(
            f"{path}: its first row, {', '.join(header)[:60]!r}, has {len(header)} fields, and the next ones have "
            f"{width}: is it a comment (say in data.csv.comment what such lines begin with), or does a text hold "
            f"{found.separator!r} without quotes around it?"
        )
    twice = [name for name, count in Counter(header).items() if name and count > 1]
    if twice:
        raise DataError(f"{path} has two columns of the name {twice[0]!r}: rename one")
    return CsvFile(path, found, tuple(name or f"Unnamed: {at}" for at, name in enumerate(header)), shorter)


@contextmanager
def rows_of(path: Path, found: CsvFormat) -> Iterator[Iterator[str]]:
    """The lines of a file without what is no row: comments, and before the first row `sep=;` and empty lines."""
    with opened(path, str(found.encoding)) as lines:
        rows: Iterator[str] = (line for line in lines if not (found.comment and line.startswith(found.comment)))
        rows = dropwhile(lambda line: not line.strip() or SEPARATOR_LINE.fullmatch(line), rows)
        if found.separator == " ":  # columns are aligned by blanks, as many as it takes
            rows = (re.sub(" +", " ", line.strip(" \r\n")) + "\n" for line in rows)
        yield rows


class _Content(io.RawIOBase):
    """Lines as a file of UTF-8, which pyarrow reads."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines = lines
        self.left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self.left) < size or size < 0:
            some = "".join(islice(self.lines, 2**12)).encode()
            if not some:
                size = len(self.left) if size < 0 else size
                break
            self.left += some
        given, self.left = self.left[:size], self.left[size:]
        return given


def _sample(path: Path, told: CsvFormat) -> list[str]:
    """The first rows; empty lines don't count."""
    sample: list[str] = []
    length = 0
    with rows_of(path, told) as rows:
        for line in islice((line for line in rows if line.strip()), SAMPLE):
            length += len(line)
            if length > LONGEST and len(sample) > 2:
                break
            sample.append(line)
    return sample


def _dialect(
    path: Path, sample: list[str], told: CsvFormat, names: Sequence[str], usual: CsvFormat | None
) -> CsvFormat:
    """Find the characters that separate and quote."""
    quote = told.quote or (usual.quote if usual else None) or '"'
    if told.separator is not None:
        return replace(told, quote=quote)
    for separator in (usual.separator if usual else None, ",") if names else ():
        tried = replace(told, separator=separator, quote=quote)
        if separator and set(names) <= {*_bare(next(_split(sample, tried)))}:
            return tried
    try:
        guess = clevercsv.Sniffer().sniff("".join(sample))
    except clevercsv.Error:
        guess = None
    if guess is None:
        raise DataError(f"{path}: what separates its columns can't be told: say data.csv.separator")
    return replace(told, separator=guess.delimiter or NONE, quote=told.quote or guess.quotechar or '"')


def _bare(fields: list[str]) -> list[str]:
    return [field.strip() for field in fields]


def _split(sample: list[str], found: CsvFormat) -> Iterator[list[str]]:
    """Fields of each line."""
    return csv.reader(sample, delimiter=found.separator or NONE, quotechar=found.quote or '"')


def _header(path: Path, rows: list[list[str]], told: bool | None, names: Sequence[str]) -> bool:
    """True if the first row names the columns: it does where it differs in kind from what stands below it."""
    first = _bare(rows[0])
    if told is not None:
        return told
    if (names and set(names) <= set(first)) or len(rows) == 1:
        return True
    below = [{row[at].strip() for row in rows[1:] if at < len(row)} for at in range(len(first))]
    kinds = Counter(map(_cell_kind, first, below))
    counted = [str(at) for at in range(len(first) + 1)]
    if kinds["name"] > kinds["value"] or first in (counted[:-1], counted[1:]):
        return True
    if "value" in kinds and "name" not in kinds:
        return False
    if {*kinds} & {"name", "value", "whole"}:
        raise DataError(
            f"{path}: whether its first row, {', '.join(first)[:60]}, names the columns can't be told: say "
            "data.csv.header, true or false"
        )
    return True


def _cell_kind(cell: str, below: set[str]) -> str:
    """Judge a cell of the first row: a `name`, a `value`, a `whole` number, which may be either, or left `open`."""
    numbers = [text for text in below if text]
    over_numbers = bool(numbers) and sum(bool(NUMBER.fullmatch(text)) for text in numbers) > 0.5 * len(numbers)
    if not cell or not any(character.isalnum() for character in cell):
        return "open"
    if NUMBER.fullmatch(cell):
        return "whole" if cell.isdigit() and over_numbers else "value"
    if over_numbers:
        return "name"
    return "value" if cell in below else "open"
