"""Archives, read where they are and never unpacked: a .zip, or a .tar that is compressed or not.

One that holds absolute paths or `..` is refused, and its links aren't followed, but for a .tar's second names of one
file.
"""

import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vae_pipeline.kinds.listed import Listing, Pick, state_of
from vae_pipeline.system.errors import CorruptFileError, DataError
from vae_pipeline.system.files import sha256_of
from vae_pipeline.system.progress import going

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ENCRYPTED, UTF8 = 0x1, 0x800  # flags of a member of a .zip


def is_archive(place: Path) -> bool:
    """True if a file is a .zip or a .tar, whatever its name."""
    return place.is_file() and (zipfile.is_zipfile(place) or _is_tar(place))


def list_archive(place: Path, pick: Pick) -> Listing:
    """The files of an archive that `pick` keeps.

    Raises:
        DataError: it isn't whole, holds unsafe paths, or is encrypted.
    """
    if not is_archive(place):
        raise DataError(f"{place} is no whole .zip or .tar: make or fetch it again")
    return (_list_zip if zipfile.is_zipfile(place) else _list_tar)(place, pick)


class PositionedFile(io.RawIOBase):
    """A file whose place of reading is this process's own: processes forked from it don't move each other's."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file, self._at = os.open(path, os.O_RDONLY | os.O_CLOEXEC), 0

    def readable(self) -> bool:
        """True: it is open for reading."""
        return True

    def seekable(self) -> bool:
        """True: any place can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the place of reading on; returns the number of bytes."""
        view = memoryview(buffer).cast("B")
        content = os.pread(self._file, len(view), self._at)
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the place of reading; returns it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._file).st_size}[whence]
        self._at = start + offset
        return self._at

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            os.close(self._file)
        super().close()


def _opened(place: Path) -> io.BufferedReader:
    return io.BufferedReader(PositionedFile(place), 1 << 16)


def _is_tar(place: Path) -> bool:
    try:
        return tarfile.is_tarfile(place)
    except (EOFError, OSError, zlib.error, lzma.LZMAError):  # a compressed one that is cut short
        return False


def _list_zip(place: Path, pick: Pick) -> Listing:
    try:
        archive = zipfile.ZipFile(_opened(place))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise DataError(f"{place} is a truncated or corrupt archive ({error}): make or fetch it again") from error
    files = [member for member in archive.infolist() if not member.is_dir()]
    _refuse_unsafe([member.filename for member in files], place)
    members = {_name_in_zip(member): member for member in files if not _is_link(member)}
    names, skipped = pick(members)
    if any(members[name].flag_bits & ENCRYPTED for name in names):
        archive.close()
        raise DataError(f"{place} is encrypted: unpack it with its password, and name the folder")

    def read(name: str) -> bytes:
        try:
            return archive.read(members[name])
        except NotImplementedError as error:
            raise DataError(f"{place} is compressed in a way that isn't read ({error}): unpack it") from error
        except Exception as error:  # a corrupt archive raises whatever the decoders of its members do
            raise CorruptFileError(f"{place} is a truncated or corrupt archive at {name} ({error})") from error

    skipped += _links(sum(map(_is_link, files)))
    return _listing(place, names, read, skipped)


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


def _name_in_zip(member: zipfile.ZipInfo) -> str:
    """The name with slashes, where an old Windows program wrote backslashes; as UTF-8, where that fits unmarked."""
    name = member.filename.replace("\\", "/")
    if member.flag_bits & UTF8:
        return name
    try:
        return name.encode("cp437").decode()
    except UnicodeError:
        return name


def _list_tar(place: Path, pick: Pick) -> Listing:
    """List without keeping what `tarfile` knows of each member, which would be some 2 kB."""
    offsets, sizes = array("q"), array("q")
    places: dict[str, int] = {}
    sparse: dict[int, tarfile.TarInfo] = {}
    others: Counter[str] = Counter()
    unsafe = []
    try:
        archive = tarfile.open(place, fileobj=_opened(place))  # noqa: SIM115 (it stays open as long as its rows are read)
        file = archive.fileobj
        assert file is not None  # it is open
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # typeshed doesn't know it
            if len(sizes) % 1024 == 0:
                going(f"listing {place.name}", 0, 1)
            name = member.name.replace("\\", "/")
            if member.isdir():
                continue
            unsafe += [] if _is_safe(name) else [member.name]
            if member.isfile():
                places[name] = len(sizes)
                sparse |= {len(sizes): member} if member.issparse() else {}
                offsets.append(member.offset_data)
                sizes.append(member.size)
            elif member.islnk():
                places[name] = _second(member.linkname, places)
            else:
                places.pop(name, None)  # the last one of a name counts
                others["link in an archive" if member.issym() else "no regular file"] += 1
        _require_end(archive)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise DataError(f"{place} is a truncated or corrupt archive ({error}): make or fetch it again") from error
    _refuse_unsafe(unsafe, place)
    names, skipped = pick(places)

    def read(name: str) -> bytes:
        index = places[name]
        try:
            if index in sparse:
                whole = archive.extractfile(sparse[index])
                assert whole is not None  # it is a regular file
                return whole.read()
            if index < 0:
                raise tarfile.ReadError("it is the second name of a file that isn't there")
            file.seek(offsets[index])
            content = file.read(sizes[index])
        except (tarfile.TarError, KeyError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            raise CorruptFileError(f"{place} is a truncated or corrupt archive at {name} ({error})") from error
        return content

    return _listing(place, names, read, skipped + others)


def _second(target: str, places: dict[str, int]) -> int:
    """The index of the file whose second name was met; -1 if it isn't there."""
    plain = os.path.normpath(target)
    return next((places[name] for name in (target, plain, f"./{plain}") if name in places), -1)


def _listing(place: Path, names: list[str], read: Callable[[str], bytes], skipped: Counter[str]) -> Listing:
    return Listing(
        str(place),
        names,
        read,
        lambda _: f"sha256:{sha256_of(place)}",
        skipped,
        lambda some: "\n".join([state_of(place), *some]),
    )


def _links(count: int) -> Counter[str]:
    return Counter({"link in an archive": count})


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
        if not _is_safe(name):
            raise DataError(f"{place} holds the path {name!r}, which leads outside the archive: it is refused")


def _is_safe(name: str) -> bool:
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    absolute = name.startswith(("/", "\\"))
    return not absolute and ".." not in parts and not (parts and parts[0].endswith(":"))
