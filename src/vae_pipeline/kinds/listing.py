"""Pictures, recordings or other files that a folder, a .zip, a .tar or a folder of such archives holds.

A folder's links are followed, each folder once. A folder in which no file is of the wanted kind, and some are archives,
is a set in shards: it is read as what they hold, one archive after the other in the order of their names.
"""

import hashlib
import os
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

from vae_pipeline.kinds.archives import ENDINGS, is_archive, list_archive
from vae_pipeline.kinds.audio.decoding import SUFFIXES as RECORDINGS
from vae_pipeline.kinds.image.decoding import SUFFIXES as PICTURES
from vae_pipeline.kinds.listed import Listing, Pick, digest_of, readable, state_of
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.progress import going

LITTER = ("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir")  # that systems leave beside pictures, as hidden files


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
        kept: list[str] = []
        others: Counter[str] = Counter()
        for name in names:
            if _is_hidden(name):
                continue
            if name.lower().endswith(suffixes):
                kept.append(name)
            else:
                others[f"{other}({readable(PurePosixPath(name).suffix) or 'no suffix'})"] += 1
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
    if is_archive(place):
        return list_archive(place, pick)
    if place.exists():
        raise DataError(f"{place} is neither a folder nor a whole .zip or .tar: make or fetch it again")
    raise DataError(f"{place} isn't there (it is sought from {Path.cwd()}): mend the path in the recipe")


def _is_hidden(name: str) -> bool:
    return any((part.startswith(".") and part != ".") or part in LITTER for part in name.split("/"))


def _list_folder(place: Path, pick: Pick) -> Listing:
    files, broken, passed = _walk(place)
    files.sort()
    names, skipped = pick(files)
    shards = [] if names else [name for name in files if name.lower().endswith(ENDINGS)]
    if shards:
        return _joined(place, {name: list_archive(place / name, pick) for name in shards}, passed, broken)

    def read(name: str) -> bytes:
        try:
            return (place / name).read_bytes()
        except OSError as error:
            raise DataError(f"can't read {place / name}: {(error.strerror or '').lower()}") from error

    def digest(contents: Iterable[bytes] | None) -> str:
        return digest_of(names, map(_digest, map(read, names)) if contents is None else contents)

    def stamp(some: Iterable[str]) -> str:
        return "\n".join(f"{name} {state_of(place / name)}" for name in some)

    return Listing(str(place), names, read, digest, skipped + passed, stamp, broken)


def _joined(place: Path, shards: Mapping[str, Listing], passed: Counter[str], broken: list[str]) -> Listing:
    """Archives as one set. A file's name is the one in its archive, so that packing it otherwise changes no row.

    Raises:
        DataError: two archives hold a file of one name.
    """
    shard_of: dict[str, str] = {}
    for shard, listing in shards.items():
        for name in listing.names:
            if shard_of.setdefault(name, shard) != shard:
                raise DataError(
                    f"{place}/{shard_of[name]} and {place}/{shard} both hold {name}: give files of a set in shards "
                    "names of their own"
                )

    def digest(_: Iterable[bytes] | None) -> str:
        return digest_of(shards, (bytes.fromhex(each.digest(None).partition(":")[2]) for each in shards.values()))

    def stamp(names: Iterable[str]) -> str:
        names = list(names)
        return "\n".join([*(shards[shard].stamp([]) for shard in sorted({shard_of[name] for name in names})), *names])

    skipped = sum((each.skipped for each in shards.values()), Counter(passed))
    return Listing(
        str(place), list(shard_of), lambda name: shards[shard_of[name]].read(name), digest, skipped, stamp, broken
    )


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
        going(f"listing {place.name}", 0, 1)
        folder = waiting.popleft()
        folders = []
        try:
            identity = _identity((place / folder).stat())
            if identity in entered:
                passed["folder that is linked again"] += 1
                continue
            entered.add(identity)
            with os.scandir(place / folder) as entries:
                for entry in entries:
                    name = f"{folder}{entry.name}"
                    match None if _is_hidden(entry.name) else _kind(entry):
                        case "folder":
                            folders.append((name, entry.is_symlink()))
                        case "file":
                            files.append(name)
                        case "broken":
                            broken.append(name)
                        case "other":
                            passed["no regular file"] += 1
        except OSError as error:
            raise DataError(f"can't read {place / folder}: {(error.strerror or '').lower()}") from error
        for name, linked in sorted(folders):
            (waiting.append if linked else waiting.appendleft)(f"{name}/")
    return files, sorted(broken), passed


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _kind(entry: "os.DirEntry[str]") -> Literal["folder", "file", "other", "broken"]:
    """Tell what an entry is, or what its link leads to; the system isn't asked again of a file itself."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
        entry.stat()
    except OSError:  # it leads nowhere, or in a circle of links
        return "broken"
    return "other"


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
