"""Listings of named files, whatever holds them, and what is known of their names."""

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vae_pipeline.system.errors import DataError

Pick = Callable[[Iterable[str]], tuple[list[str], Counter[str]]]
"""A choice among names: those that are kept, and for what reason how many others aren't."""


@dataclass(frozen=True)
class Listing:
    """Named files, and how to read one; a forked process may read them too."""

    place: str
    names: Sequence[str]
    read: Callable[[str], bytes]
    digest: Callable[[Iterable[bytes] | None], str]
    """Give the sha256 of all names and contents, from the sha256 of each file where these are known."""
    skipped: Counter[str]
    """Reason: number of other files."""
    stamp: Callable[[Sequence[str]], str]
    """Give a text that is another one once any of these files was changed; it reads none of them."""
    broken: Sequence[str] = ()
    """Links that lead nowhere."""


def digest_of(names: Iterable[str], contents: Iterable[bytes]) -> str:
    """The sha256 of files' names and of the sha256 of each one's content."""
    of_all = hashlib.sha256()
    for name, content in zip(names, contents, strict=True):
        of_all.update(f"{name}\0{content.hex()}\n".encode(errors="surrogateescape"))
    return f"sha256:{of_all.hexdigest()}"


def state_of(path: Path) -> str:
    """A text that is another one once a file was written, replaced or renamed.

    Raises:
        DataError: the file isn't there any more.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"can't read {path}: {(error.strerror or '').lower()}") from error
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def common_folder(listing: Listing) -> PurePosixPath:
    """The folder that all files lie in, at any depth."""
    return PurePosixPath(
        os.path.commonpath([PurePosixPath(folder) for folder in set(map(os.path.dirname, listing.names))])
    )


def readable(name: str) -> str:
    """A file's name in one form of its letters; bytes that aren't UTF-8 are spelt out."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))
