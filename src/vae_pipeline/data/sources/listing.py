"""PNG and JPEG files that a folder, a .zip or a .tar holds, and how to read one.

An archive is read where it is and never unpacked; one that holds absolute paths or `..` is refused.
"""

import hashlib
import lzma
import tarfile
import weakref
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vae_pipeline.errors import DataError
from vae_pipeline.files import sha256_of
from vae_pipeline.pictures import SUFFIXES, CorruptPictureError


@dataclass(frozen=True)
class Pictures:
    """Named files, and how to read one."""

    place: str
    names: Sequence[str]
    read: Callable[[str], bytes]
    digest: str
    skipped: Counter[str]


def list_pictures(place: Path) -> Pictures:
    """The pictures of a folder or an archive.

    Raises:
        DataError: it isn't there, isn't whole, holds no picture or unsafe paths.
    """
    if place.is_dir():
        found = _list_folder(place)
    elif zipfile.is_zipfile(place):
        found = _list_zip(place)
    elif place.is_file() and _is_tar(place):
        found = _list_tar(place)
    elif place.exists():
        raise DataError(f"{place} is neither a folder nor a whole .zip or .tar: make or fetch it again")
    else:
        raise DataError(f"{place} isn't there (it is sought from {Path.cwd()}): mend the path in the recipe")
    if not found.names:
        others = f"; it holds {found.skipped.total()} other files" if found.skipped else ""
        raise DataError(f"{place} holds no pictures ({', '.join(SUFFIXES)}){others}")
    return found


def _is_tar(place: Path) -> bool:
    try:
        return tarfile.is_tarfile(place)
    except (EOFError, OSError, zlib.error, lzma.LZMAError):  # a compressed one that is cut short
        return False


def _pick(names: Sequence[str]) -> tuple[list[str], Counter[str]]:
    visible = [name for name in names if not any(part.startswith(".") for part in PurePosixPath(name).parts)]
    kept = [name for name in visible if name.lower().endswith(SUFFIXES)]
    others = Counter(
        f"not a picture ({PurePosixPath(name).suffix or 'no suffix'})" for name in set(visible) - set(kept)
    )
    return kept, Counter(dict(sorted(others.items())))


def _list_folder(place: Path) -> Pictures:
    files = sorted(file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file())
    names, skipped = _pick(files)
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\0{sha256_of(place / name)}\n".encode(errors="surrogateescape"))

    def read(name: str) -> bytes:
        try:
            return (place / name).read_bytes()
        except OSError as error:
            raise DataError(f"can't read {place / name}: {(error.strerror or '').lower()}") from error

    return Pictures(str(place), names, read, f"sha256:{digest.hexdigest()}", skipped)


def _list_zip(place: Path) -> Pictures:
    try:
        archive = zipfile.ZipFile(place)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise DataError(f"{place} is a truncated or corrupt archive ({error}): make or fetch it again") from error
    files = [member.filename for member in archive.infolist() if not member.is_dir()]
    _refuse_unsafe(files, place)
    names, skipped = _pick(files)

    def read(name: str) -> bytes:
        try:
            return archive.read(name)
        except Exception as error:  # a corrupt archive raises whatever the decoders of its members do
            raise CorruptPictureError(f"{place} is a truncated or corrupt archive at {name} ({error})") from error

    return Pictures(str(place), names, read, f"sha256:{sha256_of(place)}", skipped)


def _list_tar(place: Path) -> Pictures:
    try:
        archive = tarfile.open(place)  # noqa: SIM115 (it stays open as long as its rows are read)
        assert archive.fileobj is not None  # it is open
        weakref.finalize(archive, archive.fileobj.close)
        members = {member.name: member for member in archive.getmembers() if not member.isdir()}
        _require_end(archive)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise DataError(f"{place} is a truncated or corrupt archive ({error})") from error
    _refuse_unsafe(list(members), place)
    names, skipped = _pick([name for name, member in members.items() if member.isfile()])

    def read(name: str) -> bytes:
        try:
            file = archive.extractfile(members[name])
            assert file is not None  # only regular files are listed
            return file.read()
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            raise CorruptPictureError(f"{place} is a truncated or corrupt archive at {name} ({error})") from error

    return Pictures(str(place), names, read, f"sha256:{sha256_of(place)}", skipped)


def _require_end(archive: tarfile.TarFile) -> None:
    """tarfile takes a header that is cut off or garbled for the end; the true end is a block of zeros."""
    assert archive.fileobj is not None  # it is open
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError(f"it breaks off at byte {archive.offset}")
    while archive.fileobj.read(1 << 20):  # where it is compressed, the end holds a checksum of the whole
        pass


def _refuse_unsafe(names: Sequence[str], place: Path) -> None:
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
            raise DataError(f"{place} holds the path {name!r}, which leads outside the archive: it is refused")
