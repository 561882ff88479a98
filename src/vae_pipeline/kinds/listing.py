"""Pictures, recordings or other files that a folder, a .zip or a .tar holds, and how to read one.

A folder's links are followed, each folder once. An archive is read where it is and never unpacked; one that holds
absolute paths or `..` is refused, and its links aren't followed, but for a .tar's second names of one file.
"""

import hashlib
import lzma
import os
import stat
import tarfile
import unicodedata
import weakref
import zipfile
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vae_pipeline.kinds.audio.decoding import SUFFIXES as RECORDINGS
from vae_pipeline.kinds.image.decoding import SUFFIXES as PICTURES
from vae_pipeline.system.errors import CorruptFileError, DataError
from vae_pipeline.system.files import sha256_of

LITTER = ("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir")  # that systems leave beside pictures, as hidden files
ENCRYPTED, UTF8 = 0x1, 0x800  # flags of a member of a .zip

Pick = Callable[[Iterable[str]], tuple[list[str], Counter[str]]]
"""A choice among names: those that are kept, and for what reason how many others aren't."""


@dataclass(frozen=True)
class Listing:
    """Named files, and how to read one."""

    place: str
    names: Sequence[str]
    read: Callable[[str], bytes]
    digest: Callable[[], str]
    """Give the sha256 of all names and contents."""
    skipped: Counter[str]
    """Reason: number of other files."""
    broken: Sequence[str] = ()
    """Links that lead nowhere."""


def list_pictures(place: Path) -> Listing:
    """The pictures of a folder or an archive.

    Raises:
        DataError: it isn't there, isn't whole, holds no picture or unsafe paths, or is encrypted.
    """
    return _list_kind(place, "picture", PICTURES)


def list_recordings(place: Path) -> Listing:
    """The recordings of a folder or an archive.

    Raises:
        DataError: it isn't there, isn't whole, holds no recording or unsafe paths, or is encrypted.
    """
    return _list_kind(place, "recording", RECORDINGS)


def _list_kind(place: Path, noun: str, suffixes: tuple[str, ...]) -> Listing:
    other = f"not a {noun} "  # and its suffix: why a file was passed over

    def pick(names: Iterable[str]) -> tuple[list[str], Counter[str]]:
        visible = [name for name in names if not _is_hidden(name)]
        kept = [name for name in visible if name.lower().endswith(suffixes)]
        passed = (readable(PurePosixPath(name).suffix) for name in set(visible) - set(kept))
        others = Counter(f"{other}({suffix or 'no suffix'})" for suffix in passed)
        return kept, Counter(dict(sorted(others.items())))

    found = list_files(place, pick)
    if not found.names and not found.broken:
        kinds = ", ".join(reason.removeprefix(other) for reason in found.skipped)
        others = f"; it holds {found.skipped.total()} other files: {kinds}" if found.skipped else ""
        raise DataError(f"{place} holds no {noun}s ({', '.join(suffixes)}){others}")
    return found


def list_files(place: Path, pick: Pick) -> Listing:
    """The files of a folder or an archive that `pick` keeps.

    Raises:
        DataError: it isn't there, isn't whole, holds unsafe paths, or is encrypted.
    """
    if place.is_dir():
        return _list_folder(place, pick)
    if zipfile.is_zipfile(place):
        return _list_zip(place, pick)
    if place.is_file() and _is_tar(place):
        return _list_tar(place, pick)
    if place.exists():
        raise DataError(f"{place} is neither a folder nor a whole .zip or .tar: make or fetch it again")
    raise DataError(f"{place} isn't there (it is sought from {Path.cwd()}): mend the path in the recipe")


def is_archive(place: Path) -> bool:
    """True if `list_files` takes the file for an archive."""
    return place.is_file() and (zipfile.is_zipfile(place) or _is_tar(place))


def common_folder(listing: Listing) -> PurePosixPath:
    """The folder that all files lie in, at any depth."""
    return PurePosixPath(os.path.commonpath([PurePosixPath(name).parent for name in listing.names]))


def readable(name: str) -> str:
    """A file's name in one form of its letters; bytes that aren't UTF-8 are spelt out."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))


def _is_tar(place: Path) -> bool:
    try:
        return tarfile.is_tarfile(place)
    except (EOFError, OSError, zlib.error, lzma.LZMAError):  # a compressed one that is cut short
        return False


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part in LITTER for part in PurePosixPath(name).parts)


def _list_folder(place: Path, pick: Pick) -> Listing:
    files, broken, passed = _walk(place)
    names, skipped = pick(sorted(files))

    def read(name: str) -> bytes:
        try:
            return (place / name).read_bytes()
        except OSError as error:
            raise DataError(f"can't read {place / name}: {(error.strerror or '').lower()}") from error

    def digest() -> str:
        of_all = hashlib.sha256()
        for name in names:
            content = hashlib.sha256(read(name)).hexdigest()
            of_all.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
        return f"sha256:{of_all.hexdigest()}"

    return Listing(str(place), names, read, digest, skipped + passed, broken)


def _walk(place: Path) -> tuple[list[str], list[str], Counter[str]]:
    """Files, links that lead nowhere, and the numbers of what else was passed over; each folder is entered once.

    A folder is entered where it is rather than by a link to it, so links wait until all others have been entered.
    """
    files: list[str] = []
    broken: list[str] = []
    passed: Counter[str] = Counter()
    entered = {_identity(parent.stat()) for parent in place.resolve().parents}  # a link to one of them is a circle
    waiting = deque([""])
    while waiting:
        folder = waiting.popleft()
        try:
            identity = _identity((place / folder).stat())
            entries = sorted(os.scandir(place / folder), key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"can't read {place / folder}: {(error.strerror or '').lower()}") from error
        if identity in entered:
            passed["folder that is linked again"] += 1
            continue
        entered.add(identity)
        for entry in entries:
            name = f"{folder}{entry.name}"
            if _is_hidden(entry.name):
                continue
            try:
                mode = entry.stat().st_mode
            except OSError:  # it leads nowhere, or in a circle of links
                broken.append(name)
                continue
            if stat.S_ISDIR(mode):
                (waiting.append if entry.is_symlink() else waiting.appendleft)(f"{name}/")
            elif stat.S_ISREG(mode):
                files.append(name)
            else:
                passed["no regular file"] += 1
    return files, sorted(broken), passed


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _list_zip(place: Path, pick: Pick) -> Listing:
    try:
        archive = zipfile.ZipFile(place)
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
    return Listing(str(place), names, read, lambda: f"sha256:{sha256_of(place)}", skipped)


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
    try:
        archive = tarfile.open(place)  # noqa: SIM115 (it stays open as long as its rows are read)
        assert archive.fileobj is not None  # it is open
        weakref.finalize(archive, archive.fileobj.close)
        found = {member.name: member for member in archive.getmembers() if not member.isdir()}
        _require_end(archive)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise DataError(f"{place} is a truncated or corrupt archive ({error}): make or fetch it again") from error
    _refuse_unsafe(list(found), place)
    members = {name.replace("\\", "/"): member for name, member in found.items() if member.isfile() or member.islnk()}
    names, skipped = pick(members)
    skipped += _links(sum(member.issym() for member in found.values()))
    skipped += Counter({"no regular file": sum(member.isdev() for member in found.values())})

    def read(name: str) -> bytes:
        try:
            file = archive.extractfile(members[name])
            assert file is not None  # only regular files, and second names of one, are listed
            return file.read()
        except (tarfile.TarError, KeyError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            raise CorruptFileError(f"{place} is a truncated or corrupt archive at {name} ({error})") from error

    return Listing(str(place), names, read, lambda: f"sha256:{sha256_of(place)}", skipped)


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
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
            raise DataError(f"{place} holds the path {name!r}, which leads outside the archive: it is refused")
