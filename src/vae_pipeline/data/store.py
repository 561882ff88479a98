"""The one on-disk form of prepared data: memory-mapped arrays, spec.json, card.json.

train.npy valid.npy test.npy        [examples, *event], unscaled, uint8 or float32
train_labels.npy ...                [examples], int64, where there are labels
test_masks.npy                      [examples, height, width], uint8, where there are masks: 1 where a defect is
train_sizes.npy                     [examples], int64, where examples differ in how much there is to compute of them
spec.json                           what a model must know (DataSpec)
card.json                           what a reader wants to know: counts, ranges, digests, what was dropped
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.data.mapped import MappedArray
from vae_pipeline.data.sources.parts import Array, Indices
from vae_pipeline.errors import DataError
from vae_pipeline.files import content_key, sha256_of
from vae_pipeline.spec import DataSpec, TableSpec, load_spec

PARTS = ("train", "valid", "test")


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
