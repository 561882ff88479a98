"""The one on-disk form of prepared data: memory-mapped arrays, spec.json, card.json.

train.npy valid.npy test.npy        [examples, *event], unscaled, uint8 or float32
train-00000-of-00004.npy ...        in the place of train.npy, its rows in several files (`kinds.shards`)
train_labels.npy ...                [examples], int64, where there are labels
test_masks.npy                      [examples, height, width], uint8, where there are masks: 1 where a defect is
train_attributes.npy ...            [examples, attributes], bool, where there are attributes
train_groups.npy ...                [examples], int64, where images have groups, such as patients: numbers, no names
train_noises.npy ...                [channels, samples], float32, of noises; their ends in train_noises_ends.npy
train_rooms.npy ...                 the same of impulse responses
train_sizes.npy                     [examples], int64, where examples differ in how much there is to compute of them
spec.json                           what a model must know (DataSpec)
card.json                           what a reader wants to know: counts, ranges, digests, what was dropped
digests.json                        the sha256 of each of these files
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.kinds.audio.tape import Tape
from vae_pipeline.kinds.audio.tape_files import load_tape
from vae_pipeline.kinds.corruption import Corruption
from vae_pipeline.kinds.mapped import MappedArray
from vae_pipeline.kinds.parts import Array, Indices, Marks
from vae_pipeline.kinds.raw import checked
from vae_pipeline.kinds.shards import Shards, names_of, require_there, shards_among
from vae_pipeline.kinds.spec import DataSpec, ImageSpec, load_spec
from vae_pipeline.recipe.denoise import Denoise
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import content_key
from vae_pipeline.system.seal import listed, unsealed
from vae_pipeline.system.typed_json import read_json, typed

PARTS = ("train", "valid", "test")
BESIDE = ("noises", "rooms")
CHUNK = 2**20  # bytes
ENOUGH = 99  # validation examples, which tell a false-alarm rate of 0.01


@dataclass(frozen=True)
class Split:
    """One part of the prepared data."""

    x: MappedArray | Shards | Array
    """[examples, *event]; a slice of an array that lies on disk is a copy."""
    labels: Indices | None
    masks: MappedArray | Array | None = None
    """[examples, height, width]: 1 where a defect is; of the test part alone, and None where there are none."""
    sizes: Indices | None = None
    """The size of each example, for batches that cost alike; of the training part alone, and None
    where examples don't differ in it."""
    attributes: Marks | None = None
    """[examples, attributes]: True where an example shows an attribute of the spec; None where it names none."""
    groups: Indices | None = None
    """The number of each example's group, such as its patient, within this part; None where none are known."""
    beside: Mapping[str, Tape] = field(default_factory=dict)
    """The noises and rooms that corruptions of sound mix in, where the recipe names some."""
    corruption: Corruption | None = None
    """The corruption that each example goes through before a model sees it; `x` is clean."""

    def __len__(self) -> int:
        return len(self.x)

    @property
    def clean(self) -> "Split":
        """The same part as it lies on disk."""
        return replace(self, corruption=None)


@dataclass(frozen=True)
class Prepared:
    """A folder that `prepare` filled."""

    folder: Path
    spec: DataSpec
    train: Split
    valid: Split
    test: Split
    digests: dict[str, str]
    """The sha256 of each file."""

    @classmethod
    def open(cls, folder: Path, place: int = 0, processes: int = 1) -> "Prepared":
        """Map the arrays, once every file was found to be the one that `prepare` wrote.

        Of a training part in shards, one of several `processes` reads those that its `place` among them calls for.

        Raises:
            DataError: the folder isn't one that `prepare` filled, or was altered; or a shard isn't there.
        """
        spec = load_spec(folder / "spec.json")
        digests = listed(folder, "prepare")
        shards = shards_among(digests)
        own = range(place, shards or 0, processes)
        parts = {part: _open_split(folder, part, spec, shards, own) for part in PARTS}
        for part in ("train", "test"):
            if len(parts[part]) == 0:
                raise DataError(f"{folder / part}.npy holds no examples: run `vae-pipeline prepare` again")
        elsewhere = {name for shard, name in enumerate(names_of("train", shards)) if shards and shard not in own}
        unsealed(folder, "prepare", [name for name in digests if name not in elsewhere])
        for part, split in parts.items():
            for path, x in _files(split.x, folder, part):
                _require_possible(x, spec, path)
        return cls(folder, spec, **parts, digests=digests)

    def corrupted(self, denoise: Denoise | None, seed: int) -> "Prepared":
        """The same data, whose rows a model sees as the recipe's section corrupts them; `self` where it has none.

        Raises:
            DataError: it mixes in noises or rooms, and these weren't prepared.
        """
        if denoise is None:
            return self
        low, high = (self.spec.low, self.spec.high) if isinstance(self.spec, ImageSpec) else (0.0, 1.0)
        for split, name in itertools.product((self.train, self.valid, self.test), denoise.sources):
            if name not in split.beside:
                raise DataError(f"{self.folder} holds no {name}, which train.denoise names: run `vae-pipeline prepare`")
        train, valid, test = (
            replace(split, corruption=Corruption.of(denoise, low, high, seed, part, len(split), split.beside))
            for part, split in zip(PARTS, (self.train, self.valid, self.test), strict=True)
        )
        return replace(self, train=train, valid=valid, test=test)

    @property
    def tells_anomalies(self) -> bool:
        """True if labels, where there are any, say what is normal (0) and what isn't (all others)."""
        return self.spec.tells_anomalies or self.card.get("split", {}).get("kind") == "one_class"

    @property
    def card(self) -> dict[str, Any]:
        """The data card, card.json.

        Raises:
            DataError: it isn't there, or isn't what `prepare` wrote.
        """
        return _card(self.folder / "card.json")

    @property
    def calibration_note(self) -> str | None:
        """A note on a validation part that is too small to calibrate a detector; None on any other."""
        count = len(self.valid)
        if not 0 < count < ENOUGH:
            return None
        return (
            f"{count} validation examples calibrate a detector for false-alarm rates from {1 / (count + 1):.2g} up; a "
            f"rate of alpha needs 1/alpha - 1 of them, 0.01 needs {ENOUGH}: raise data.valid"
        )

    def digest(self) -> str:
        """The sha256 of every file but the card, which tells of the others: equal data, equal digest."""
        beside = [f"_{name}{suffix}.npy" for name in BESIDE for suffix in ("", "_ends")]
        suffixes = (".npy", "_labels.npy", "_masks.npy", "_sizes.npy", "_attributes.npy", *beside)
        first = ["spec.json", *(f"{part}{suffix}" for part in PARTS for suffix in suffixes)]  # as earlier digests began
        names = [*first, *sorted(self.digests.keys() - {*first, "card.json"})]
        return content_key([[name, self.digests[name]] for name in names if name in self.digests])


@dataclass(frozen=True)
class _Card:
    """The fields of card.json that its readers rely on."""

    examples: dict[str, int]
    origins: dict[str, str]
    duplicates: dict[str, Any]
    dropped: dict[str, int]
    classes: dict[str, dict[str, int]]
    shape: tuple[int, ...]
    dtype: str
    notes: tuple[str, ...] = ()
    split: dict[str, Any] = field(default_factory=dict)


def _card(path: Path) -> dict[str, Any]:
    try:
        card = read_json(path)
        typed(_Card, card)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} isn't what `vae-pipeline prepare` wrote ({error}): prepare again") from error
    return dict(card)


def _files(x: MappedArray | Shards | Array, folder: Path, part: str) -> list[tuple[Path, MappedArray | Array]]:
    """The arrays that a part was opened from, with their paths."""
    if not isinstance(x, Shards):
        return [(folder / f"{part}.npy", x)]
    names = names_of(part, x.count)
    return [(folder / names[shard], file) for shard, file in x.files.items()]


def _require_possible(x: MappedArray | Array, spec: DataSpec, path: Path) -> None:
    """Refuse values that the spec says can't occur, some rows at a time."""
    if isinstance(spec, ImageSpec) and spec.takes_any_value:
        return
    rows = max(1, CHUNK // max(1, x[:1].nbytes))
    for start in range(0, len(x), rows):
        try:
            checked(x[start : start + rows], spec, first=start)
        except DataError as error:
            raise DataError(f"{path} doesn't fit spec.json ({error}): run `vae-pipeline prepare` again") from error


def _open_split(folder: Path, part: str, spec: DataSpec, shards: int | None, own: Sequence[int]) -> Split:
    images: MappedArray | Shards
    if part == "train" and shards is not None:
        images = _open_shards(folder, spec, shards, own)
    else:
        images = _open_rows(folder / f"{part}.npy", spec)
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
    sizes = _open_numbers(folder / f"{part}_sizes.npy", len(images), "size")
    groups = _open_numbers(folder / f"{part}_groups.npy", len(images), "group")
    attributes = _open_attributes(folder, part, (len(images), len(spec.attributes)))
    found = {name: load_tape(folder, f"{part}_{name}", spec.event_shape[0]) for name in BESIDE}
    beside = {name: tape for name, tape in found.items() if tape is not None}
    return Split(images, labels, masks, sizes, attributes, groups, beside)


def _open_rows(path: Path, spec: DataSpec, count: int | None = None) -> MappedArray:
    rows = _open_array(path)
    if rows.shape[1:] != spec.event_shape or rows.dtype != spec.dtype or len(rows) != (count or len(rows)):
        raise DataError(f"{path} doesn't fit spec.json: run `vae-pipeline prepare` again")
    return rows


def _open_shards(folder: Path, spec: DataSpec, shards: int, own: Sequence[int]) -> Shards:
    rows, names = _card(folder / "card.json")["examples"]["train"], names_of("train", shards)
    require_there(folder, [names[shard] for shard in own])
    files = {shard: _open_rows(folder / names[shard], spec, len(range(shard, rows, shards))) for shard in own}
    return Shards(files, shards, (rows, *spec.event_shape), spec.dtype)


def _open_attributes(folder: Path, part: str, shape: tuple[int, int]) -> Marks | None:
    if shape[1] == 0:
        return None
    path = folder / f"{part}_attributes.npy"
    marks = _open_array(path)
    if marks.shape != shape or marks.dtype != np.bool_:
        raise DataError(f"{path} doesn't hold {shape[1]} attributes of each example: run `vae-pipeline prepare` again")
    return marks[:]


def _open_numbers(path: Path, count: int, what: str) -> Indices | None:
    if not path.exists():
        return None
    numbers = _open_array(path)
    if numbers.shape != (count,) or numbers.dtype != np.int64:
        raise DataError(f"{path} doesn't hold one {what} for each example: run `vae-pipeline prepare` again")
    return numbers[:]


def _open_masks(path: Path, shape: tuple[int, ...]) -> MappedArray | None:
    if not path.exists():
        return None
    masks = _open_array(path)
    if masks.shape != shape or masks.dtype != np.uint8:
        raise DataError(f"{path} doesn't hold one mask for each example: run `vae-pipeline prepare` again")
    return masks


def _open_array(path: Path) -> MappedArray:
    if path.exists() and not path.is_file():  # a pipe would never end
        raise DataError(f"{path} isn't a regular file: run `vae-pipeline prepare` again")
    try:
        return MappedArray(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} isn't there: run `vae-pipeline prepare` first") from error
    except Exception as error:  # numpy evaluates the header: a corrupt one raises nearly anything
        raise DataError(f"{path} is truncated or corrupt ({error}): run `vae-pipeline prepare` again") from error
