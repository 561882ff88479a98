"""Sentences from a file: one a line of UTF-8 text, plain or gzipped, or one a row in a column of a table."""

import gzip
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

from vae_pipeline.data.frames import chunks, is_table
from vae_pipeline.errors import DataError

PIPE = "-"


@dataclass(frozen=True)
class Lines:
    """Those that hold more than blanks."""

    texts: list[str]
    numbers: list[int]
    """Of each, the line or row of its file, from 1; a table's names aren't a row."""
    empty: int
    """How many were left out."""


def read_lines(path: Path, column: str | None) -> Lines:
    """The lines of a text, `-` a pipe's; or, given a `column`, those of a table.

    Raises:
        DataError: the file can't be read, isn't UTF-8, lacks the column or holds no sentence; or it is a table and no
            column is given, or the other way round.
    """
    if is_table(path) and column is None:
        raise DataError(f"{path} is a table: say which column holds the sentences")
    found = _lines(path) if column is None else _column(path, column)
    kept = [(number, text) for number, text in enumerate(found, 1) if text.strip()]
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
    found = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            found.append(line.decode("utf-8").rstrip("\r"))
        except UnicodeDecodeError as error:
            raise DataError(
                f"line {number} of {path} isn't UTF-8 (byte {error.start + 1} of it is 0x{line[error.start]:02x}): "
                "convert the file, for instance by iconv -f LATIN1 -t UTF-8"
            ) from error
    return found[:-1] if found and not found[-1] else found


def _column(path: Path, column: str) -> list[str]:
    if not is_table(path):
        raise DataError(f"{path} is no table, and so has no column {column}: leave the column out")
    found: list[str] = []
    for frame in chunks(path, gaps=False):
        if column not in frame.columns:
            there = ", ".join(map(str, frame.columns))
            raise DataError(f"{path} has no column {column}; it has {there[:200]}")
        # A sentence is a line: whoever reads samples or scores of it counts on that.
        texts = frame[column].fillna("").astype(str)
        found += [" ".join(text.splitlines()) for text in texts]
    return found
