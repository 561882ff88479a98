"""Sentences from a file of lines, or from a column of a table."""

import gzip
import zlib
from pathlib import Path

from vae_pipeline.data.download import Finder
from vae_pipeline.data.frames import chunks
from vae_pipeline.data.sources.parts import TextSource
from vae_pipeline.errors import DataError
from vae_pipeline.files import sha256_of
from vae_pipeline.recipe.data import File, TextData

EMPTY = "empty line"


def open_text(data: TextData, finder: Finder) -> TextSource:
    """Read the files that the recipe names; lines without a word are left out, and counted.

    Raises:
        DataError: a file can't be had or read, isn't UTF-8, or lacks the column.
    """
    origins: dict[str, str] = {}
    dropped = 0

    def lines(file: File) -> list[str]:
        nonlocal dropped
        path = finder.find(file)
        origins[file.path or file.url or path.name] = file.digest or f"sha256:{sha256_of(path)}"
        found = _lines(path) if data.column is None else _column(path, data.column)
        kept = [line for line in found if line.strip()]
        dropped += len(found) - len(kept)
        if not kept:
            raise DataError(f"{path} holds no sentence: one a line is wanted")
        return kept

    train = lines(data.train)
    valid, test = (part if isinstance(part, float | int) else lines(part) for part in (data.valid, data.test))
    left_out = {EMPTY: dropped} if dropped else {}
    return TextSource(train, valid, test, data.tokenizer, data.limit, data.long, origins, left_out)


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be read ({error})") from error
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
    found: list[str] = []
    for frame in chunks(path):
        if column not in frame.columns:
            raise DataError(
                f"{path} has no column {column}, which the recipe names; it has {', '.join(map(str, frame.columns))}"
            )
        # A sentence is a line: whoever reads samples or scores of it counts on that.
        texts = frame[column].fillna("").astype(str)
        found += [" ".join(text.splitlines()) for text in texts]
    return found
