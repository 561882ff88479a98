"""Which rows are of which part, and whether parts share any."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.data.sources.parts import Array, Indices, Part, Rows, Source
from vae_pipeline.data.store import PARTS
from vae_pipeline.errors import DataError


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
        indices=indices_of(part)[indices],
    )


def indices_of(part: Part) -> Indices:
    """The rows of its source."""
    return np.arange(len(part.rows)) if part.indices is None else part.indices


def _row_numbers(part: Part) -> npt.NDArray[np.uint64]:
    """The hash of each row's name or, where it has none, its index from 1 on."""
    if part.names is None:
        return np.arange(1, len(part.rows) + 1, dtype=np.uint64)
    return np.array([row_hash(os.fsencode(name)) for name in part.names], np.uint64)


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


def row_hash(content: bytes) -> int:
    """64 bits of what a row holds, or of its name."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def duplicates(hashes: Mapping[str, Array]) -> dict[str, int]:
    """How many examples occur twice, by a hash of each."""
    return {
        "within_train": len(hashes["train"]) - len(np.unique(hashes["train"])),
        "valid_in_train": int(np.isin(hashes["valid"], hashes["train"]).sum()),
        "test_in_train": int(np.isin(hashes["test"], hashes["train"]).sum()),
    }
