"""IDX, .npy, .npz, .amat and .mat files, gzipped or not, told apart by their contents and not by their names.

Files of records have nothing to be told by: the recipe says that they are some.
"""

import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.image.matlab import read_mat
from vae_pipeline.kinds.image.records import gunzipped, read_records
from vae_pipeline.kinds.parts import Array, ImageSource, Part
from vae_pipeline.recipe.data import ArrayFile, ArrayPart, ArraysData, File, LabelByte, Runs
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import tree_digest

NPY = b"\x93NUMPY"
# IDX, third byte of the file: the type of its elements (big-endian).
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def open_arrays(data: ArraysData, finder: Finder) -> ImageSource:
    """Read the files that the recipe names.

    Raises:
        DataError: a file is corrupt, of another shape or range than the recipe says, or can't be had.
    """
    origins: dict[str, str] = {}
    every = {"train": data.train, "valid": data.valid, "test": data.test}
    named = {name: part for name, part in every.items() if isinstance(part, ArrayPart)}
    raw = {name: _read_part(part, data, finder, origins) for name, part in named.items()}
    labels = [part_labels for _, part_labels in raw.values() if part_labels is not None]
    if labels and len(labels) < len(raw):
        raise DataError("some parts of the data have labels and some have none: give labels for all parts, or null")
    groups = {
        name: _groups(part.groups, name, len(raw[name][0]), finder, origins)
        for name, part in named.items()
        if part.groups is not None
    }
    if groups and len(groups) < len(raw):
        raise DataError("some parts of the data have groups and some have none: give groups for all parts, or null")
    values = np.unique(np.concatenate(labels)) if labels else np.empty(0, np.int64)
    parts = {
        name: Part(images, None if part_labels is None else np.searchsorted(values, part_labels).astype(np.int64))
        for name, (images, part_labels) in raw.items()
    }
    dtypes = {images.dtype for images, _ in raw.values()}
    dtype = "uint8" if dtypes == {np.dtype(np.uint8)} else "float32"
    return ImageSource(
        shape=data.shape,
        dtype=dtype,
        low=data.range[0],
        high=data.range[1],
        classes=_names(values, data),
        train=parts["train"],
        valid=parts["valid"] if "valid" in parts else float(data.valid),  # type: ignore[arg-type]
        test=parts["test"] if "test" in parts else float(data.test),  # type: ignore[arg-type]
        origins=origins,
        split=data.split,
        groups=groups,
    )


def _names(values: Array, data: ArraysData) -> tuple[str, ...]:
    """The name of each of the numbers or texts that label the images."""
    if data.classes is None:
        return tuple(str(value) for value in values)
    if len(data.classes) != len(values):
        raise DataError(
            f"data.classes has {len(data.classes)} names, but the labels are {len(values)} different ones, from "
            f"{values[0]} to {values[-1]}: one name each is wanted"
        )
    return data.classes


def _read_part(
    part: ArrayPart, data: ArraysData, finder: Finder, origins: dict[str, str]
) -> tuple[Array, Array | None]:
    path, found = _read(part.images, finder, origins)
    images = _arrange(_values(found, part.images), data, path)
    if part.labels is None:
        return images, None
    if isinstance(part.labels, LabelByte):
        return images, found[:, part.labels.byte].astype(np.int64)
    label_path, labels = _read(part.labels, finder, origins)
    labels = _values(labels, part.labels)
    if labels.ndim == 2 and 1 in labels.shape:
        labels = labels.ravel()
    if labels.ndim != 1 or len(labels) != len(images):
        raise DataError(
            f"{label_path} holds labels of shape {labels.shape}, but {path} holds {len(images)} images: "
            "one label an image is wanted"
        )
    whole = labels if labels.dtype.kind == "U" else _as_whole(labels, np.int64)
    if whole is None:
        raise DataError(
            f"{label_path} holds labels that are neither whole numbers nor texts: number the classes 0, 1, ..."
        )
    return images, whole


def _groups(groups: File | Runs, part: str, count: int, finder: Finder, origins: dict[str, str]) -> list[str]:
    """The id of each image, as a text."""
    if isinstance(groups, Runs):
        return [f"{part} {index // groups.run}" for index in range(count)]
    path, key = _find(groups, finder, origins)
    ids = read_array(path, key)
    if ids.shape not in ((count,), (count, 1), (1, count)):
        raise DataError(f"{path} holds groups of shape {list(ids.shape)} for {count} images: one id an image is wanted")
    whole = _as_whole(ids, np.int64)
    if ids.dtype.kind not in "US" and whole is None:
        raise DataError(f"{path} holds groups that are neither texts nor whole numbers: number them, or name them")
    return [str(each) for each in (ids.astype(str) if whole is None else whole).ravel()]


def _find(file: File, finder: Finder, origins: dict[str, str]) -> tuple[Path, str | None]:
    path, key = finder.find_array(file)
    here = file.path is not None and Path(file.path) == path
    digest = None if file.repacked else file.digest
    origins[str(file.path) if here else path.name] = digest or f"sha256:{tree_digest(path)}"
    return path, key


def _read(file: ArrayFile, finder: Finder, origins: dict[str, str]) -> tuple[Path, Array]:
    """The array of a file; of records, all their bytes."""
    path, key = _find(file, finder, origins)
    return path, read_array(path, key) if file.records is None else read_records(path, key, file.records.bytes)


def _values(array: Array, file: ArrayFile) -> Array:
    """The array without the bytes that its records begin with."""
    return array if file.records is None else array[:, file.records.skip :]


def _arrange(array: Array, data: ArraysData, path: Path) -> Array:
    """Bring an array to [examples, channels, height, width] of uint8 or float32."""
    if array.ndim == 0:
        array = array.reshape(1)
    arranged = _laid_out(array, data)
    if arranged is None:
        arranged = _laid_out(np.moveaxis(array, -1, 0), data)  # as MATLAB has them
    if arranged is None:
        raise DataError(
            f"{path} holds examples of shape {list(array.shape[1:])}, but data.shape says {list(data.shape)} "
            "(channels, height, width): set data.shape to what the file holds"
        )
    if arranged.dtype == np.uint8:
        return arranged
    if _is_real(arranged):
        with np.errstate(over="ignore"):  # becomes infinite, which is refused later
            return arranged.astype(np.uint8 if _fits_uint8(arranged) else np.float32, copy=False)
    raise DataError(f"{path} holds values of type {array.dtype}: real numbers are wanted")


def _laid_out(array: Array, data: ArraysData) -> Array | None:
    """[examples, channels, height, width] of an array whose first axis is the examples', None where it doesn't fit."""
    channels, height, width = data.shape
    given = array.shape[1:]
    if given == (channels * height * width,) and data.flat == "columns":
        return array.reshape(len(array), channels, width, height).transpose(0, 1, 3, 2)
    if given == data.shape or (channels == 1 and given == (height, width)) or given == (channels * height * width,):
        return array.reshape(len(array), *data.shape)
    return array.transpose(0, 3, 1, 2) if given == (height, width, channels) else None


def _is_real(array: Array) -> bool:
    return array.dtype.kind in "biuf"


def _as_whole(array: Array, dtype: type[np.integer[Any]]) -> Array | None:
    """The same values as whole numbers, or None where some are others."""
    if not _is_real(array):
        return None
    with np.errstate(invalid="ignore"):  # NaN and infinity become some number, which then differs
        whole = array.astype(dtype)
    return whole if np.array_equal(array, whole) else None


def _fits_uint8(array: Array) -> bool:
    if np.issubdtype(array.dtype, np.floating) or array.size == 0:
        return False
    return bool(array.min() >= 0 and array.max() <= 255)


def read_array(path: Path, key: str | None) -> Array:
    """Read one array from a file of any of the formats.

    Raises:
        DataError: there is no such file, it is truncated or corrupt, or it is of no known format.
    """
    try:
        with path.open("rb") as file:
            content = file.read(len(NPY))
            mapped = content == NPY and key is None
            content += b"" if mapped else file.read()
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror}") from error
    if mapped:  # it may be larger than the memory
        return _load_npy(path, path)
    content = gunzipped(content, path)
    if content[:2] == b"PK":
        return _read_npz(content, key, path)
    if content.startswith(b"MATLAB"):
        return read_mat(content, key, path)
    if key is not None:
        raise DataError(f"{path} is no .npz or .mat, so it has no key {key!r}: leave key out")
    if content[: len(NPY)] == NPY:
        return _load_npy(io.BytesIO(content), path)
    if content[:2] == b"\x00\x00" and len(content) >= 4 and content[2] in IDX_TYPES:
        return _read_idx(content, path)
    return _read_amat(content, path)


def _read_npz(content: bytes, key: str | None, path: Path) -> Array:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            names = list(archive.keys())
            if key is None and len(names) == 1:
                key = names[0]
            if key not in names:
                wanted = "a key is wanted" if key is None else f"there is no {key!r}"
                raise DataError(f"{path} holds the arrays {', '.join(names)}: {wanted}")
            return np.asarray(archive[key])
    except DataError:
        raise
    except Exception as error:  # a corrupt archive raises whatever the decoders of its members do
        raise DataError(f"{path} is a truncated or corrupt .npz ({error}): make or fetch it again") from error


def _load_npy(content: Path | io.BytesIO, path: Path) -> Array:
    try:
        return np.asarray(np.load(content, "r" if isinstance(content, Path) else None, allow_pickle=False))
    except Exception as error:  # numpy evaluates the header: a corrupt one raises nearly anything
        if "Object arrays" in str(error):
            raise DataError(f"{path} holds Python's objects, which aren't read: save an array of numbers") from error
        raise DataError(f"{path} is a truncated or corrupt .npy ({error}): make or fetch it again") from error


def _read_idx(content: bytes, path: Path) -> Array:
    dtype, axes = np.dtype(IDX_TYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    if axes == 0 or axes > 8 or len(content) < start:
        raise DataError(f"{path} is an IDX file whose header is cut short or corrupt: fetch it again")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", axes, 4))
    wanted = math.prod(shape) * dtype.itemsize
    if len(content) - start != wanted:
        raise DataError(
            f"{path} is an IDX file of shape {list(shape)}, which needs {wanted} bytes, "
            f"but {len(content) - start} follow the header: fetch it again"
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _read_amat(content: bytes, path: Path) -> Array:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            table = np.loadtxt(io.BytesIO(content), ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path} isn't IDX, .npy, .npz, .mat or .amat (rows of numbers): {error}") from error
    if table.size == 0:
        raise DataError(f"{path} is empty")
    whole = _as_whole(table, np.uint8)
    return table if whole is None else whole
