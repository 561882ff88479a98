"""The one on-disk form of prepared data: memory-mapped arrays, spec.json, card.json.

train.npy valid.npy test.npy        [examples, *event], unscaled, uint8 or float32
train_labels.npy ...                [examples], int64, where there are labels
test_masks.npy                      [examples, height, width], uint8, where there are masks: 1 where a defect is
train_sizes.npy                     [examples], int64, where examples differ in how much there is to compute of them
spec.json                           what a model must know (DataSpec)
card.json                           what a reader wants to know: counts, ranges, digests, what was dropped
"""

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vae_pipeline.data.mapped import MappedArray
from vae_pipeline.data.sources.parts import Array, Indices, Part, Rows, Source
from vae_pipeline.errors import DataError
from vae_pipeline.files import content_key, sha256_of, write_json
from vae_pipeline.spec import DataSpec, ImageSpec, TableSpec, load_spec

PARTS = ("train", "valid", "test")
CHUNK_ROWS = 4096


@dataclass(frozen=True)
class Split:
    """One part of the prepared data."""

    images: MappedArray | Array
    """[examples, *event]; a slice of a mapped array is a copy."""
    labels: Indices | None
    masks: MappedArray | Array | None = None
    """[examples, height, width]: 1 where a defect is; of the test part alone, and None where there are none."""
    sizes: Indices | None = None
    """How much there is to compute of each example, for batches of like ones; of the training part alone, and None
    where examples don't differ in it."""

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Prepared:
    """A folder that `prepare` filled."""

    folder: Path
    spec: DataSpec
    train: Split
    valid: Split
    test: Split

    @classmethod
    def open(cls, folder: Path) -> "Prepared":
        """Map the arrays; nothing is read yet.

        Raises:
            DataError: the folder isn't one that `prepare` filled.
        """
        spec = load_spec(folder / "spec.json")
        parts = {part: _open_split(folder, part, spec) for part in PARTS}
        for part in ("train", "test"):
            if len(parts[part]) == 0:
                raise DataError(f"{folder / part}.npy holds no examples: run `vae-pipeline prepare` again")
        return cls(folder, spec, **parts)

    @property
    def tells_anomalies(self) -> bool:
        """Whether labels, where there are any, say what is normal (0) and what isn't (all others)."""
        return isinstance(self.spec, TableSpec) or self.card.get("split", {}).get("kind") == "one_class"

    @property
    def card(self) -> dict[str, Any]:
        """What a reader wants to know of the data."""
        path = self.folder / "card.json"
        try:
            card = dict(json.loads(path.read_text(encoding="utf-8")))
            card["origins"], card["examples"], card["duplicates"]
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(f"{path} isn't what `vae-pipeline prepare` wrote ({error}): prepare again") from error
        return card

    def digest(self) -> str:
        """The sha256 of spec, arrays, labels, masks and sizes: equal data, equal digest."""
        suffixes = (".npy", "_labels.npy", "_masks.npy", "_sizes.npy")
        names = [f"{part}{suffix}" for part in PARTS for suffix in suffixes]
        files = [self.folder / name for name in ("spec.json", *names)]
        return content_key([[file.name, sha256_of(file)] for file in files if file.is_file()])


def _open_split(folder: Path, part: str, spec: DataSpec) -> Split:
    images = _open_array(folder / f"{part}.npy")
    if images.shape[1:] != spec.event_shape or images.dtype != spec.dtype:
        raise DataError(f"{folder / part}.npy doesn't fit spec.json: run `vae-pipeline prepare` again")
    label_path = folder / f"{part}_labels.npy"
    labels = None
    if spec.classes:
        stored = _open_array(label_path)
        fits = stored.shape == (len(images),) and stored.dtype == np.int64
        labels = stored[:] if fits else np.zeros(0, np.int64)
        if not fits or not ((labels >= 0) & (labels < len(spec.classes))).all():
            raise DataError(
                f"{label_path} doesn't hold one label of 0..{len(spec.classes) - 1} for each of {len(images)} "
                "examples: run `vae-pipeline prepare` again"
            )
    masks = _open_masks(folder / f"{part}_masks.npy", (len(images), *spec.event_shape[1:]))
    return Split(images, labels, masks, _open_sizes(folder / f"{part}_sizes.npy", len(images)))


def _open_sizes(path: Path, count: int) -> Indices | None:
    if not path.exists():
        return None
    sizes = _open_array(path)
    if sizes.shape != (count,) or sizes.dtype != np.int64:
        raise DataError(f"{path} doesn't hold one size for each example: run `vae-pipeline prepare` again")
    return sizes[:]


def _open_masks(path: Path, shape: tuple[int, ...]) -> MappedArray | None:
    if not path.exists():
        return None
    masks = _open_array(path)
    if masks.shape != shape or masks.dtype != np.uint8:
        raise DataError(f"{path} doesn't hold one mask for each example: run `vae-pipeline prepare` again")
    return masks


def _open_array(path: Path) -> MappedArray:
    try:
        return MappedArray(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} isn't there: run `vae-pipeline prepare` first") from error
    except Exception as error:  # numpy evaluates the header: a corrupt one raises nearly anything
        raise DataError(f"{path} is truncated or corrupt ({error}): run `vae-pipeline prepare` again") from error


def write(source: Source, folder: Path, seed: int) -> None:
    """Split `source` and write it into `folder`.

    Raises:
        DataError: values that are not finite or out of range, or a split that comes out empty.
    """
    parts = split(source, seed)
    card: dict[str, Any] = {
        "examples": {},
        "shape": list(source.shape),
        "dtype": source.dtype,
        "range": [source.low, source.high],
        "observed": {},
        "classes": {},
        "origins": source.origins,
        "dropped": source.dropped,
    }
    hashes: dict[str, Array] = {}
    binary = True
    for name, part in parts.items():
        with (folder / f"{name}.npy").open("wb") as file:
            writer = _Writer(file, len(part.rows), source)
            for chunk in _chunks(part.rows):
                writer.write(_checked(chunk, source, name))
        binary = binary and writer.binary
        hashes[name] = np.array(writer.hashes, np.uint64)
        card["examples"][name] = len(part.rows)
        card["observed"][name] = writer.summary()
        if part.labels is not None:
            save_array(folder / f"{name}_labels.npy", part.labels)
            counts = np.bincount(part.labels, minlength=len(source.classes))
            card["classes"][name] = dict(zip(source.classes, counts.tolist(), strict=True))
        if part.masks is not None and name == "test":
            _write_masks(folder / f"{name}_masks.npy", part.masks, source.shape[1:])
    if source.one_class:
        card["split"] = split_card("one_class", {name: _indices(part) for name, part in parts.items()})
    card["duplicates"] = duplicates(hashes)
    spec = ImageSpec(source.shape, source.dtype, source.low, source.high, binary, source.classes)
    spec.save(folder / "spec.json")
    write_json(folder / "card.json", card)


def duplicates(hashes: Mapping[str, Array]) -> dict[str, int]:
    """How many examples occur twice, by a hash of each."""
    return {
        "within_train": len(hashes["train"]) - len(np.unique(hashes["train"])),
        "valid_in_train": int(np.isin(hashes["valid"], hashes["train"]).sum()),
        "test_in_train": int(np.isin(hashes["test"], hashes["train"]).sum()),
    }


def split_card(kind: str, parts: Mapping[str, Indices]) -> dict[str, Any]:
    """What the data card tells of a split: its kind, and the sha256 of each part's indices."""
    digests = {name: f"sha256:{hashlib.sha256(rows.tobytes()).hexdigest()}" for name, rows in parts.items()}
    return {"kind": kind, "indices": digests}


def split(source: Source, seed: int) -> dict[str, Part]:
    """The three parts; where `valid` or `test` is a fraction, rows of train are assigned by a hash.

    Of one class, anomalies among them all go to the test part.

    The hash is of the seed and the row's name (a picture's path in its folder) or, in arrays, its index: pictures
    added or taken away, and rows appended, move no other.

    Raises:
        DataError: a part that is wanted comes out empty.
    """
    valid = source.valid if isinstance(source.valid, float) else 0.0
    test = source.test if isinstance(source.test, float) else 0.0
    apart = source.train.labels != 0 if source.one_class and source.train.labels is not None else np.zeros(1, bool)
    chosen = assign(_row_numbers(source.train), seed, valid, test, apart)
    given = {"train": None, "valid": source.valid, "test": source.test}
    parts = {}
    for name in PARTS:
        part = given[name]
        parts[name] = part if isinstance(part, Part) else _subset(source.train, chosen[name])
        wanted = name == "train" or (isinstance(part, float) and part > 0) or isinstance(part, Part)
        if wanted and len(parts[name].rows) == 0:
            raise DataError(
                f"the {name} part is empty: {len(source.train.rows)} examples are too few for the fractions "
                "in the recipe; give more data or other fractions"
            )
    return parts


def assign(
    numbers: npt.NDArray[np.uint64], seed: int, valid: float, test: float, apart: npt.NDArray[np.bool_]
) -> dict[str, Indices]:
    """The rows of each part, by a hash of the seed and each row's number; those `apart` are all of the test part."""
    place = uniform(numbers, seed)
    in_test = (place < test) | apart
    in_valid = ~in_test & (place < test + valid)
    chosen = (~in_test & ~in_valid, in_valid, in_test)
    return {name: np.flatnonzero(rows) for name, rows in zip(PARTS, chosen, strict=True)}


@dataclass(frozen=True)
class _Subset:
    rows: Rows
    indices: Indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, indices: Indices) -> Array:
        return self.rows[self.indices[indices]]


def _subset(part: Part, indices: Indices) -> Part:
    return Part(
        _Subset(part.rows, indices),
        None if part.labels is None else part.labels[indices],
        masks=None if part.masks is None else _Subset(part.masks, indices),
        indices=_indices(part)[indices],
    )


def _indices(part: Part) -> Indices:
    return np.arange(len(part.rows)) if part.indices is None else part.indices


def _row_numbers(part: Part) -> npt.NDArray[np.uint64]:
    """The hash of each row's name or, where it has none, its index from 1 on."""
    if part.names is None:
        return np.arange(1, len(part.rows) + 1, dtype=np.uint64)
    digests = [hashlib.blake2b(os.fsencode(name), digest_size=8).digest() for name in part.names]
    return np.array([int.from_bytes(digest) for digest in digests], np.uint64)


def uniform(numbers: npt.NDArray[np.uint64], seed: int) -> Array:
    """A number in [0, 1) for each of `numbers`, by the finaliser of splitmix64 (Steele, Lea and Flood, 2014)."""
    golden, first, second = (
        np.uint64(0x9E3779B97F4A7C15),
        np.uint64(0xBF58476D1CE4E5B9),
        np.uint64(0x94D049BB133111EB),
    )
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        mixed = numbers * golden + np.array([seed], np.uint64) * second
        mixed = (mixed ^ (mixed >> np.uint64(30))) * first
        mixed = (mixed ^ (mixed >> np.uint64(27))) * second
        mixed = mixed ^ (mixed >> np.uint64(31))
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) / 2**53)


def _chunks(rows: Rows) -> Iterator[Array]:
    for start in range(0, len(rows), CHUNK_ROWS):
        yield rows[np.arange(start, min(start + CHUNK_ROWS, len(rows)))]


def _checked(chunk: Array, source: Source, name: str) -> Array:
    if not np.isfinite(chunk).all():
        bad = int((~np.isfinite(chunk)).reshape(len(chunk), -1).any(axis=1).sum())
        raise DataError(f"{bad} of {len(chunk)} examples of the {name} part hold NaN or infinity: clean them first")
    lowest, highest = float(chunk.min()), float(chunk.max())
    # The bounds are rounded as the values were: 0.1 in float32 is over 0.1.
    if lowest < np.float32(source.low) or highest > np.float32(source.high):
        raise DataError(
            f"the {name} part holds values from {lowest:g} to {highest:g}, but data.range says "
            f"[{source.low:g}, {source.high:g}]: set it to what can occur"
        )
    return chunk.astype(source.dtype)


def save_array(path: Path, array: Array) -> None:
    """Write an .npy file."""
    # np.save writes to a file past Python, and on a full disk gives an error that doesn't say so.
    buffer = io.BytesIO()
    np.save(buffer, array)
    path.write_bytes(buffer.getvalue())


def _write_masks(path: Path, masks: Rows, shape: tuple[int, ...]) -> None:
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(masks), *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in _chunks(masks):
            file.write(np.ascontiguousarray(chunk, np.uint8).data)


class _Writer:
    """Fills an .npy file chunk by chunk, and sums up what it held.

    Not through a memory map: on a full disk that ends the process instead of raising an error.
    """

    def __init__(self, file: BinaryIO, count: int, source: Source) -> None:
        self.file = file
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(source.dtype)),
            "fortran_order": False,
            "shape": (count, *source.shape),
        }
        np.lib.format.write_array_header_1_0(file, header)
        self.low, self.high = source.low, source.high
        self.least, self.most, self.total, self.size = np.inf, -np.inf, 0.0, 0
        self.binary = True
        self.hashes: list[int] = []

    def write(self, chunk: Array) -> None:
        self.file.write(np.ascontiguousarray(chunk).data)
        self.least, self.most = min(self.least, float(chunk.min())), max(self.most, float(chunk.max()))
        self.total += float(chunk.sum(dtype=np.float64))
        self.size += chunk.size
        for row in chunk:
            self.hashes.append(int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=8).digest()))
        self.binary = self.binary and bool(((chunk == self.low) | (chunk == self.high)).all())

    def summary(self) -> dict[str, float]:
        if self.size == 0:
            return {}
        return {"min": self.least, "max": self.most, "mean": round(self.total / self.size, 6)}
