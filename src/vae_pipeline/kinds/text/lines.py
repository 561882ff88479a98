"""Sentences from a file: one a line of text, plain or gzipped, or one a row in a column of a table."""

import codecs
import gzip
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

from vae_pipeline.kinds.table.spec import is_table
from vae_pipeline.system.errors import DataError

PIPE = "-"
# A mark at the beginning of a file says how its letters are written; UTF-32's begins with UTF-16's.
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


@dataclass(frozen=True)
class Lines:
    """Lines that hold more than blanks."""

    texts: list[str]
    numbers: list[int]
    """The number of each one's line or row in its file, from 1; a table's names aren't a row."""
    empty: int
    """The number of lines that were left out."""


def read_lines(path: Path, column: str | None) -> Lines:
    """The lines of a text, `-` a pipe's; or, given a `column`, those of a table.

    Raises:
        DataError: the file can't be read, isn't UTF-8 (nor UTF-16 or UTF-32 with their mark), holds a NUL, lacks the
            column or holds no sentence; or it is a table and no column is given, or the other way round.
    """
    if is_table(path) and column is None:
        raise DataError(f"{path} is a table: say which column holds the sentences")
    found = _lines(path) if column is None else read_column(path, column)
    kept = [(number, text) for number, text in enumerate(found, 1) if text.strip()]
    for number, text in kept:
        if "\0" in text:
            raise DataError(
                f"line {number} of {path} holds a NUL, which no text does: if it is UTF-16 without a mark, convert "
                "it, for instance by iconv -f UTF-16LE -t UTF-8"
            )
    if not kept:
        raise DataError(f"{path} holds no sentence: one a line is wanted")
    return Lines([text for _, text in kept], [number for number, _ in kept], len(found) - len(kept))


def _lines(path: Path) -> list[str]:
    if path.is_dir():
        raise DataError(f"{path} is a folder: a file of a sentence a line is wanted")
    try:
        content = sys.stdin.buffer.read() if str(path) == PIPE else path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"can't read {path}: {reason.lower()}") from error
    if content.startswith(b"\x93NUMPY"):
        raise DataError(f"{path} is an array: a text of a sentence a line is wanted")
    mark, encoding = next(((mark, name) for mark, name in MARKS.items() if content.startswith(mark)), (b"", "utf-8"))
    content = content.removeprefix(mark)
    if encoding != "utf-8":
        try:
            content = content.decode(encoding).encode()
        except UnicodeError as error:
            raise DataError(
                f"{path} has the mark of {encoding.upper()} and isn't it ({error}): save it as UTF-8"
            ) from error
    found = []
    # The ends of lines are those of Unix, of Windows or of an old Mac.
    for number, line in enumerate(content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"), 1):
        try:
            found.append(line.decode())
        except UnicodeDecodeError as error:
            raise DataError(
                f"line {number} of {path} isn't UTF-8 (byte {error.start + 1} of it is 0x{line[error.start]:02x}): "
                "convert the file, for instance by iconv -f LATIN1 -t UTF-8"
            ) from error
    return found[:-1] if found and not found[-1] else found


def read_column(path: Path, column: str) -> list[str]:
    """The texts of a table's column, empty where a value is missing.

    Raises:
        DataError: the file can't be read, or lacks the column.
    """
    if not is_table(path):
        raise DataError(f"{path} is no table, and so has no column {column}: leave the column out")
    from vae_pipeline.kinds.table.files import TableFile  # noqa: PLC0415 (pandas costs only those who have tables)

    found: list[str] = []
    for frame in TableFile(path, absent=None, names=[column]).frames():
        if column not in frame.columns:
            there = ", ".join(map(str, frame.columns))
            raise DataError(f"{path} has no column {column}; it has {there[:200]}")
        # A sentence is a line: whoever reads samples or scores of it counts on that.
        texts = frame[column].fillna("").astype(str)
        found += [" ".join(text.splitlines()) for text in texts]
    return found
