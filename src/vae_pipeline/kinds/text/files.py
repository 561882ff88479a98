"""Text files as lines: plain or gzipped, in the encoding that they are written in."""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import chardet

from vae_pipeline.system.errors import DataError

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
WESTERN = "cp1252"
UTF_8 = ("utf-8", "utf-8-sig")
SURE = 0.8  # of chardet's confidence
PIECE = 2**20  # bytes


@contextmanager
def opened(path: Path, encoding: str) -> Iterator[Iterator[str]]:
    """The lines of a text, each with its end, while the file is open.

    Raises:
        DataError: a line holds a character of value 0, which no text does, or isn't of the encoding.
    """
    with _readable(path), _open(path) as binary, io.TextIOWrapper(binary, encoding, newline="") as text:
        yield _checked(text, path, encoding)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from error


def _checked(text: io.TextIOWrapper, path: Path, encoding: str) -> Iterator[str]:
    number = 0
    try:
        for number, line in enumerate(text, 1):
            if "\0" in line:
                raise DataError(f"{path}: line {number} holds a character of value 0, as no text does: is it text?")
            yield line
    except UnicodeError as error:
        raise DataError(f"{path} isn't {encoding} after line {number} ({error}): say data.csv.encoding") from error


def encoding_of(path: Path, told: str | None = None) -> str:
    """The encoding by a mark at the beginning, or UTF-8 if all of it is; else as it is told, or as its bytes look.

    Raises:
        DataError: its bytes look like more than one encoding.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _readable(path), _open(path) as binary:
        piece = binary.read(PIECE)
        for mark, encoding in MARKS.items():
            if piece.startswith(mark):
                return encoding
        zeros = [piece[start:2000:2].count(0) for start in (0, 1)]
        if max(zeros) > 0.4 * len(piece[:2000:2]):
            return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
        try:
            while piece:
                decoder.decode(piece)
                piece = binary.read(PIECE)
            decoder.decode(b"", final=True)
            return "utf-8"
        except UnicodeDecodeError:
            return _guess(path, piece) if told in (None, *UTF_8) else str(told)


def _guess(path: Path, piece: bytes) -> str:
    """The guess of chardet, where it is sure or the most usual encoding would read the same."""
    if b"\0" in piece:
        raise DataError(f"{path} isn't text: a spreadsheet or a database is to be saved as .csv or .parquet first")
    found = chardet.detect(piece)
    encoding = str(found["encoding"] or WESTERN).lower()
    one, other = (piece.decode(name, "replace") for name in (encoding, WESTERN))
    if (found["confidence"] or 0) < SURE and one != other:
        at = next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), 0)
        raise DataError(
            f"{path} isn't UTF-8; it may be {encoding}, which reads {_word(one, at)!r}, or {WESTERN}, which reads "
            f"{_word(other, at)!r}: say which, or another, in data.csv.encoding"
        )
    return encoding


def _word(text: str, at: int) -> str:
    """The letters around a place of a text, some on each side."""
    return str(re.search(r"\w{0,12}$", text[:at])[0] + text[at] + re.match(r"\w{0,12}", text[at + 1 :])[0])  # type: ignore[index]


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if gzipped else path.open("rb")  # type: ignore[return-value]
