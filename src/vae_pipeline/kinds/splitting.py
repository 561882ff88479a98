"""Images or recordings divided into parts, and what is to be told of any division."""

import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.division import Division, Fractions, divide, row_hash
from vae_pipeline.kinds.parts import Array, AudioSource, ImageSource, Indices, Part, Readable
from vae_pipeline.kinds.store import PARTS
from vae_pipeline.recipe.split import HASHED, SplitRule
from vae_pipeline.system.errors import DataError

CHUNK_ROWS, CHUNK_VALUES = 4096, 2**24  # read at a time, at most
PartedSource = ImageSource | AudioSource
"""A source whose rows are arrays, in parts."""


def split_card(kind: str, parts: Mapping[str, Indices], rule: SplitRule) -> dict[str, Any]:
    """A split as the data card tells it: its kind, its rule if it has one, and the sha256 of each part's indices."""
    digests = {name: f"sha256:{hashlib.sha256(rows.tobytes()).hexdigest()}" for name, rows in parts.items()}
    told = {} if rule == HASHED else {"rule": rule.model_dump(exclude_none=True)}
    return {"kind": kind, "indices": digests, **told}


def split(source: PartedSource, seed: int) -> dict[str, Part]:
    """The three parts, as `divide_rows` and `parts_of` make them."""
    return parts_of(source, divide_rows(source, seed))


def divide_rows(source: PartedSource, seed: int) -> Division:
    """Divide the rows of train where `valid` or `test` is a fraction of them.

    Of one class, anomalies among them all go to the test part. The hash is of the seed and the row's name (a picture's
    path in its folder) or, in arrays, its index: pictures added or taken away, and rows appended, move no other.

    Raises:
        DataError: a group is in two parts that have files of their own.
    """
    train = source.train
    valid = source.valid if isinstance(source.valid, float) else 0.0
    test = source.test if isinstance(source.test, float) else 0.0
    apart = train.labels != 0 if source.one_class and train.labels is not None else np.zeros(len(train.rows), bool)
    own = [part for part in (source.valid, source.test) if isinstance(part, Part)]
    refuse_shared_groups(source.groups)
    return divide(
        source.split,
        Fractions(valid, test),
        seed,
        _row_numbers(train),
        apart,
        source.groups.get("train"),
        lambda: _contents(train.rows, source),
        lambda: np.concatenate([np.empty(0, np.uint64), *(_contents(part.rows, source) for part in own)]),
    )


def refuse_shared_groups(groups: Mapping[str, Any]) -> None:
    """Refuse groups that two parts with files of their own share.

    Raises:
        DataError: one group is in two of them.
    """
    names = list(groups)
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            if shared := sorted(set(groups[name]) & set(groups[other])):
                both = f"is in {name} and in {other}"
                raise DataError(f"group {shared[0]!r}, one of {len(shared)}, {both}: part the files by groups")


def parts_of(source: PartedSource, division: Division) -> dict[str, Part]:
    """The parts of a division, and those that have files of their own.

    Raises:
        DataError: a part that is wanted comes out empty.
    """
    given = {"train": None, "valid": source.valid, "test": source.test}
    parts = {}
    for name in PARTS:
        part = given[name]
        parts[name] = part if isinstance(part, Part) else subset(source.train, division.rows[name])
        wanted = name == "train" or (isinstance(part, float) and part > 0) or isinstance(part, Part)
        if wanted and len(parts[name].rows) == 0:
            rows = len(source.train.rows)
            raise DataError(
                f"the {name} part is empty: {rows} examples{division.fewer(rows)} are too few for the fractions in the "
                f"recipe; give more data or other fractions{''.join(f'; {note}' for note in source.notes)}"
            )
    return parts


@dataclass(frozen=True)
class _Subset:
    rows: Readable
    indices: Indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, indices: Indices) -> Array:
        return self.rows[self.indices[indices]]


def subset(part: Part, indices: Indices) -> Part:
    """Some rows of a part."""
    return Part(
        _Subset(part.rows, indices),
        None if part.labels is None else part.labels[indices],
        None if part.names is None else [part.names[index] for index in indices],
        masks=None if part.masks is None else _Subset(part.masks, indices),
        indices=indices_of(part)[indices],
        attributes=None if part.attributes is None else part.attributes[indices],
    )


def indices_of(part: Part) -> Indices:
    """The rows of its source."""
    return np.arange(len(part.rows)) if part.indices is None else part.indices


def _row_numbers(part: Part) -> npt.NDArray[np.uint64]:
    """The hash of each row's name or, where it has none, its index from 1 on."""
    if part.names is None:
        return np.arange(1, len(part.rows) + 1, dtype=np.uint64)
    return np.array([row_hash(os.fsencode(name)) for name in part.names], np.uint64)


def chunks(rows: Readable, shape: Sequence[int]) -> Iterator[Array]:
    """Rows of a source, each of a shape, so many at a time that they fit into memory."""
    size = max(1, min(CHUNK_ROWS, CHUNK_VALUES // math.prod(shape)))
    for start in range(0, len(rows), size):
        yield rows[np.arange(start, min(start + size, len(rows)))]


def _contents(rows: Readable, source: PartedSource) -> npt.NDArray[np.uint64]:
    hashes = (row_hash(row.tobytes()) for chunk in chunks(rows, source.shape) for row in chunk.astype(source.dtype))
    return np.fromiter(hashes, np.uint64)


def duplicates(hashes: Mapping[str, Array]) -> dict[str, int]:
    """The number of examples that occur twice, by a hash of each."""
    return {
        "within_train": len(hashes["train"]) - len(np.unique(hashes["train"])),
        "valid_in_train": int(np.isin(hashes["valid"], hashes["train"]).sum()),
        "test_in_train": int(np.isin(hashes["test"], hashes["train"]).sum()),
    }


def told(card: Mapping[str, Any]) -> list[str]:
    """Notes on examples that are in two parts."""
    found = [
        f"{card['duplicates'][f'{name}_in_train']:,} of {card['examples'][name]:,} {name} examples"
        for name in ("valid", "test")
        if card["duplicates"][f"{name}_in_train"]
    ]
    if not found:
        return []
    return [f"{' and '.join(found)} are in train too: split.duplicates together keeps equal ones in one part, drop one"]
