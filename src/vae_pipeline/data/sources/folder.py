"""PNG and JPEG files in a folder or in an archive, decoded when they are asked for.

An archive is read where it is and never unpacked; one that holds absolute paths or `..` is refused.
"""

import dataclasses
import hashlib
import lzma
import tarfile
import weakref
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from vae_pipeline.data.sources.parts import Array, Indices, Part, Source
from vae_pipeline.errors import DataError
from vae_pipeline.files import sha256_of
from vae_pipeline.pictures import SUFFIXES, CorruptPictureError, read_mask, read_picture
from vae_pipeline.recipe.data import FolderData, NormalFolder


@dataclass(frozen=True)
class Pictures:
    """Named files, and how to read one."""

    place: str
    names: Sequence[str]
    read: Callable[[str], bytes]
    digest: str
    skipped: Counter[str]


@dataclass(frozen=True)
class DecodedRows:
    """Pictures as rows of [channels, height, width]."""

    pictures: Pictures
    data: FolderData

    def __len__(self) -> int:
        return len(self.pictures.names)

    def __getitem__(self, indices: Indices) -> Array:
        return np.stack([self.decode(self.pictures.names[index]) for index in indices])

    def decode(self, name: str) -> Array:
        """Read one picture."""
        shown = f"{self.pictures.place}/{name}"
        return read_picture(self.pictures.read(name), shown, self.data.shape, self.data.resize)


@dataclass(frozen=True)
class DecodedMasks:
    """The masks of pictures, [height, width] each; one without a mask has no defect."""

    pictures: Pictures
    mask_of: Mapping[str, str]
    data: FolderData

    def __len__(self) -> int:
        return len(self.pictures.names)

    def __getitem__(self, indices: Indices) -> Array:
        return np.stack([self.decode(self.mask_of.get(self.pictures.names[index])) for index in indices])

    def decode(self, name: str | None) -> Array:
        """Read one mask; of None, an empty one."""
        size = self.data.shape[1:]
        if name is None:
            return np.zeros(size, np.uint8)
        return read_mask(self.pictures.read(name), f"{self.pictures.place}/{name}", size, self.data.resize)


def open_folder(data: FolderData) -> Source:
    """List the pictures of each part.

    Raises:
        DataError: a place that isn't there, is empty, or is an archive that is corrupt or unsafe.
    """
    if isinstance(data.labels, NormalFolder):
        return _open_one_class(data, data.labels)
    places = {"train": data.train, "valid": data.valid, "test": data.test}
    dropped: Counter[str] = Counter()
    pictures = {
        name: _without_corrupt(_list(Path(place)), data, dropped)
        for name, place in places.items()
        if isinstance(place, str)
    }
    folders = {name: [_folder_of(file) for file in part.names] for name, part in pictures.items()}
    classes = (
        tuple(sorted({folder for part in folders.values() for folder in part})) if data.labels == "folders" else ()
    )
    parts = {
        name: Part(DecodedRows(part, data), _labels(folders[name], classes), part.names)
        for name, part in pictures.items()
    }
    for part in pictures.values():
        dropped.update(part.skipped)
    return Source(
        shape=data.shape,
        dtype="uint8",
        low=0,
        high=255,
        classes=classes,
        train=parts["train"],
        valid=parts["valid"] if "valid" in parts else float(data.valid),
        test=parts["test"] if "test" in parts else float(data.test),
        origins={part.place: part.digest for part in pictures.values()},
        dropped=dict(dropped),
    )


def _open_one_class(data: FolderData, labels: NormalFolder) -> Source:
    assert not isinstance(data.valid, str) and not isinstance(data.test, str)  # a recipe says so
    listed = _list(Path(data.train))
    mask_of = _masks(listed.names) if labels.masks == "beside" else {}
    masks, dropped = set(mask_of.values()), Counter(listed.skipped)
    listed = dataclasses.replace(listed, names=[name for name in listed.names if name not in masks])
    pictures = _without_corrupt(listed, data, dropped)
    classes, numbers = _kinds(pictures, labels.normal)
    if labels.masks == "beside":
        for name, number in zip(pictures.names, numbers, strict=True):
            if number and name not in mask_of:
                raise DataError(
                    f"{pictures.place}/{name} shows an anomaly, and no mask {PurePosixPath(name).stem}.png lies beside "
                    "it: add the mask (NAME.png beside NAME.jpg), or set data.labels.masks to none"
                )
    return Source(
        shape=data.shape,
        dtype="uint8",
        low=0,
        high=255,
        classes=classes,
        train=Part(
            DecodedRows(pictures, data),
            numbers,
            pictures.names,
            DecodedMasks(pictures, mask_of, data) if labels.masks == "beside" else None,
        ),
        valid=float(data.valid),
        test=float(data.test),
        origins={pictures.place: pictures.digest},
        dropped=dict(dropped),
        one_class=True,
    )


def _masks(names: Sequence[str]) -> dict[str, str]:
    """The mask of each picture that has one: NAME.png beside NAME.jpg."""
    found = {name.rpartition(".")[0]: name for name in names if name.lower().endswith(".png")}
    photographs = [name for name in names if not name.lower().endswith(".png")]
    return {name: found[stem] for name in photographs if (stem := name.rpartition(".")[0]) in found}


def _kinds(pictures: Pictures, normal: str) -> tuple[tuple[str, ...], Indices]:
    """The folders' names, `normal` first, and the number of each picture's: folders at the depth of `normal`."""
    folders = [PurePosixPath(name).parts[:-1] for name in pictures.names]
    depth = next((parts.index(normal) for parts in folders if normal in parts), None)
    if depth is None:
        some = ", ".join(sorted({"/".join(parts) or "." for parts in folders})[:6])
        raise DataError(
            f"no picture in {pictures.place} lies in a folder {normal!r}, as data.labels.normal says: "
            f"its folders are {some}"
        )
    kinds = [parts[depth] if len(parts) > depth else "." for parts in folders]
    classes = (normal, *sorted(set(kinds) - {normal}))
    return classes, _numbered(kinds, classes)


def _without_corrupt(pictures: Pictures, data: FolderData, dropped: Counter[str]) -> Pictures:
    if data.corrupt == "fail":
        return pictures
    rows = DecodedRows(pictures, data)
    whole = []
    for name in pictures.names:
        try:
            rows.decode(name)
        except CorruptPictureError:
            dropped["truncated or corrupt picture"] += 1
        else:
            whole.append(name)
    if not whole:
        raise DataError(f"every picture in {pictures.place} is truncated or corrupt")
    return Pictures(pictures.place, whole, pictures.read, pictures.digest, pictures.skipped)


def _labels(folders: Sequence[str], classes: tuple[str, ...]) -> Indices | None:
    return _numbered(folders, classes) if classes else None


def _numbered(folders: Sequence[str], classes: tuple[str, ...]) -> Indices:
    number = {name: index for index, name in enumerate(classes)}
    return np.array([number[folder] for folder in folders], np.int64)


def _folder_of(name: str) -> str:
    return PurePosixPath(name).parent.name or "."


def _list(place: Path) -> Pictures:
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
