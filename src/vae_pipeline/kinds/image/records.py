"""Files of records: bytes without a header, as many a record as the recipe says, as CIFAR and STL-10 have them."""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.archives import is_archive
from vae_pipeline.kinds.listing import list_files
from vae_pipeline.system.errors import DataError


def read_records(path: Path, key: str | None, length: int) -> npt.NDArray[np.uint8]:
    """[records, length] of a file, or of those files of a folder, a .zip or a .tar whose name or path matches `key`.

    Several files follow each other in the order of their names.

    Raises:
        DataError: there is no such file, it is truncated or corrupt, or it isn't made of whole records.
    """
    files = _members(path, key) if path.is_dir() or is_archive(path) else [(str(path), _content(path, key))]
    parts = []
    for name, content in files:
        if not content or len(content) % length:
            raise DataError(
                f"{name} holds {len(content)} bytes, which aren't whole records of {length}: it is cut short, or "
                "records.bytes isn't what its description says"
            )
        parts.append(np.frombuffer(content, np.uint8).reshape(-1, length))
    return np.concatenate(parts)


def gunzipped(content: bytes, path: Path) -> bytes:
    """The content, decompressed where it is gzipped.

    Raises:
        DataError: it is cut short or corrupt.
    """
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is a truncated or corrupt .gz ({error}): fetch it again") from error


def _content(path: Path, key: str | None) -> bytes:
    try:
        content = gunzipped(path.read_bytes(), path)
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror}") from error
    if key is not None:
        raise DataError(f"{path} is no folder or archive, so it has no key {key!r}: leave key out")
    return content


def _members(path: Path, key: str | None) -> list[tuple[str, bytes]]:
    """Name and content of each file that matches."""
    held: list[str] = []

    def pick(names: Iterable[str]) -> tuple[list[str], Counter[str]]:
        held.extend(sorted(names))
        return [name for name in held if key is None or PurePosixPath(name).match(key)], Counter()

    found = list_files(path, pick)
    if not found.names or (key is None and len(found.names) > 1):
        wanted = "a key is wanted" if key is None else f"none matches {key!r}"
        some = ", ".join(held[:8]) + (", ..." if len(held) > 8 else "")
        raise DataError(f"{path} holds the files {some}: {wanted}")
    return [(f"{path}/{name}", found.read(name)) for name in found.names]
