"""A look at arrays of images: which they are, their parts and their labels, in an .npz or in the files beside one."""

import math
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.kinds.image.arrays import read_array
from vae_pipeline.kinds.parts import Array
from vae_pipeline.recipe.data.medmnist import PREFIXES
from vae_pipeline.scaffold.facts import ImageFacts
from vae_pipeline.scaffold.looking.found import PARTS, Found, Places, fractions, require_enough
from vae_pipeline.system.errors import DataError

LABELS = (
    (r"images", "labels"),
    (r"idx3", "idx1"),
    (r"\b[xX](?=_|\b)", "y"),
    (r"(?<=_)[xX]\b", "y"),
    (r"data", "labels"),
)
"""Words in the name of a file of images, and those in the name of the one of its labels."""
FEW_LEVELS = 64  # whole numbers up to which the highest one that occurs is taken for the highest that can
MOST_CHANNELS = 4
LEAST_SIDE = 8  # pixels of an image that lies flat in a row


@dataclass(frozen=True)
class _Named:
    """An array, and where it lies."""

    path: Path
    key: str | None
    values: Array

    @property
    def name(self) -> str:
        return self.path.name if self.key is None else self.key

    @property
    def part(self) -> str:
        """The part that the name tells; train if it tells none."""
        words = re.split(r"[\W_]+", self.name.lower())
        return next((part for part, names in PARTS.items() if any(word in names for word in words)), "train")


@dataclass(frozen=True)
class _Images:
    rows: _Named
    labels: _Named | None


def look_at_arrays(path: Path, places: Places) -> Found:
    """The images of a file, with the parts and the labels that lie in it or beside it.

    Raises:
        DataError: it can't be read, holds no images, or several arrays of which any may be the images.
    """
    parts = _in_archive(path) if path.name.lower().endswith(".npz") else _in_files(path)
    rows = [part.rows.values for part in parts.values()]
    shape = _shape(rows, path)
    low, high = range_of(rows, path)
    whole = all(_whole(values) for values in rows)
    binary = all(bool(((values == low) | (values == high)).all()) for values in rows)
    labels = [part.labels for part in parts.values() if part.labels is not None]
    labelled = len(labels) == len(parts)
    classes = len(np.unique(np.concatenate([each.values.ravel() for each in labels]))) if labelled else 0
    count = sum(map(len, rows))
    data: dict[str, Any] = {"kind": "arrays", "shape": list(shape), "range": [low, high]}
    for name, part in parts.items():
        data[name] = {
            "images": _file(part.rows, places),
            "labels": None if part.labels is None or not labelled else _file(part.labels, places),
        }
    for name, rule in fractions(count).items():
        if name != "split" or len(parts) == 1:
            data.setdefault(name, rule)
    if _is_medmnist(parts):
        file = {"path": places.written(path)}
        data = {"kind": "medmnist", "file": file, "split": {"duplicates": "drop"}}
    axes = f"{' x '.join(map(str, shape))} (channels, height, width)"
    levels = "black and white" if binary else f"{'whole' if whole else 'real'} numbers"
    return Found(
        ImageFacts(count, shape, "uint8" if whole else "float32", (low, high), binary, classes),
        data,
        f"{count:,} images of {shape[2]}x{shape[1]}",
        [
            f"{count:,} images of {axes}, {levels} from {low:g} to {high:g}",
            f"in parts: {', '.join(f'{len(part.rows.values):,} {name}' for name, part in parts.items())}",
            f"{classes} classes, by {', '.join(each.name for each in labels)}" if labelled else "no labels",
            *require_enough(count, "images", path),
        ],
    )


def _is_medmnist(parts: Mapping[str, _Images]) -> bool:
    """True of images and labels by the names that MedMNIST gives them."""
    keys = {name: (part.rows.key, part.labels and part.labels.key) for name, part in parts.items()}
    bytes_alone = all(part.rows.values.dtype == np.uint8 for part in parts.values())
    return bytes_alone and keys == {name: (f"{key}_images", f"{key}_labels") for name, key in PREFIXES.items()}


@contextmanager
def opened(path: Path) -> Iterator[Mapping[str, Array]]:
    """The arrays of an .npz, each read when it is asked for within the block.

    Raises:
        DataError: it can't be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            yield archive
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} can't be read as an .npz of numbers ({error}): make or fetch it again") from error


def _in_archive(path: Path) -> dict[str, _Images]:
    """The parts in an .npz: MedMNIST's, a single array of images, or arrays by the usual names."""
    with opened(path) as archive:
        keys = list(archive.keys())
    arrays = [_Named(path, key, read_array(path, key)) for key in keys]
    deep = [each for each in arrays if each.values.ndim >= 3] or [each for each in arrays if each.values.ndim == 2]
    images = _by_part([each for each in deep if each.values.shape[1:] != (1,)], path)
    found = {}
    for name, rows in images.items():
        fitting = [each for each in arrays if each is not rows and _labels(each.values, rows.values)]
        own = [each for each in fitting if len(images) == 1 or each.part == rows.part]
        found[name] = _Images(rows, own[0] if len(own) == 1 else None)
    return found


def _in_files(path: Path) -> dict[str, _Images]:
    """The parts in files whose names differ in `train` alone, and the labels of each."""
    rows = _Named(path, None, read_array(path, None))
    named = [rows]
    if rows.part == "train":
        for name in (*PARTS["valid"], *PARTS["test"]):
            other = path.with_name(re.sub("train(ing)?", name, path.name))
            if other != path and other.is_file():
                named.append(_Named(other, None, read_array(other, None)))
    return {name: _Images(each, _labels_beside(each)) for name, each in _by_part(named, path).items()}


def _by_part(images: Sequence[_Named], path: Path) -> dict[str, _Named]:
    if len(images) == 1:
        return {"train": images[0]}
    found = {name: [each for each in images if each.part == name] for name in PARTS}
    if len(found["train"]) != 1 or any(len(each) > 1 for each in found.values()):
        names = ", ".join(each.name for each in images) or "no array of images"
        raise DataError(
            f"{path} holds {names}: one array of images is wanted, or one each that is named train, valid and test"
        )
    return {name: each[0] for name, each in found.items() if each}


def _labels_beside(rows: _Named) -> _Named | None:
    name = rows.path.name
    for word, instead in LABELS:
        name = re.sub(word, instead, name)
    stem, dot, suffix = rows.path.name.partition(".")
    for candidate in (name, f"{stem}_labels{dot}{suffix}", f"labels{dot}{suffix}"):
        path = rows.path.with_name(candidate)
        if path != rows.path and path.is_file():
            labels = read_array(path, None)
            if _labels(labels, rows.values):
                return _Named(path, None, labels)
    return None


def _labels(values: Array, rows: Array) -> bool:
    """True of a whole number or a text for each row, of which half at most are different."""
    if values.shape not in ((len(rows),), (len(rows), 1)) or values.dtype.kind not in "buiU":
        return False
    return 1 < len(np.unique(values)) <= max(2, len(rows) // 2)


def _shape(rows: Sequence[Array], path: Path) -> tuple[int, int, int]:
    shapes = {values.shape[1:] for values in rows}
    given = shapes.pop()
    if shapes:
        raise DataError(f"{path}: its parts hold images of other shapes, {[*given]} and {[*shapes.pop()]}: mend them")
    match given:
        case (values,) if (side := math.isqrt(values)) ** 2 == values and side >= LEAST_SIDE:
            return 1, side, side
        case (height, width):
            return 1, height, width
        case (height, width, channels) if channels <= MOST_CHANNELS:
            return channels, height, width
        case (channels, height, width):
            return channels, height, width
    raise DataError(
        f"{path} holds examples of shape {list(given)}: images of 2 axes, or 3 with their channels, are wanted; save "
        "rows of a table as .csv or .parquet, or as X of an .npz"
    )


def range_of(rows: Sequence[Array], place: object) -> tuple[float, float]:
    """The lowest and highest value that can occur, by those that do.

    Raises:
        DataError: they aren't finite numbers that differ.
    """
    if any(values.dtype.kind not in "buif" or values.size == 0 for values in rows):
        raise DataError(f"{place} holds values that are no numbers, or none: an array of numbers is wanted")
    low, high = min(float(values.min()) for values in rows), max(float(values.max()) for values in rows)
    if not math.isfinite(low) or not math.isfinite(high) or low == high:
        raise DataError(f"{place} holds values from {low:g} to {high:g}: finite ones that differ are wanted")
    if low >= 0 and high <= 1:
        return 0, 1
    if low >= -1 and high <= 1:
        return -1, 1
    if low >= 0 and FEW_LEVELS < high <= 255:
        return 0, 255
    return min(low, 0) if all(map(_whole, rows)) else low, high


def _whole(values: Array) -> bool:
    """True of whole numbers from 0 to 255, which a source gives as uint8."""
    return values.dtype.kind in "bui" and bool(values.min() >= 0) and bool(values.max() <= 255)


def _file(named: _Named, places: Places) -> dict[str, str]:
    return {"path": places.written(named.path)} | ({} if named.key is None else {"key": named.key})
