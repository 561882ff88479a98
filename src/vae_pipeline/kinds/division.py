"""The division of rows into parts: by a hash or of exact size, equal rows and those of a group in one part."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from vae_pipeline.kinds.parts import Array, Indices
from vae_pipeline.kinds.store import PARTS
from vae_pipeline.recipe.split import SplitRule

Numbers = npt.NDArray[np.uint64]
OFTEN = 10.0
"""Rows that equal a row on average, itself with them, over which parts of whole sets of equals aren't alike."""
FAR = 0.25  # share of what was asked for by which a part's size may differ without being told


@dataclass(frozen=True)
class Division:
    """The rows of each part."""

    rows: dict[str, Indices]
    left_out: int
    """Rows that are in none, as an equal one is in some."""
    notes: tuple[str, ...]
    """Notes that a reader must see."""
    units: int
    """Rows, or sets of equal rows and groups where these are kept together."""

    def fewer(self, rows: int) -> str:
        """A part of a sentence: how many of so many rows can be parted, where that is fewer."""
        if self.left_out:
            return f", of which {rows - self.left_out} differ from the others,"
        return f", of which {self.units} can be parted, as equal ones and groups are of one part," * (self.units < rows)


@dataclass(frozen=True)
class Fractions:
    """The shares of `valid` and `test`; the rest is `train`."""

    valid: float
    test: float


def divide(
    rule: SplitRule,
    fractions: Fractions,
    seed: int,
    numbers: Numbers,
    apart: npt.NDArray[np.bool_],
    groups: Sequence[str] | None,
    contents: Callable[[], Numbers],
    elsewhere: Callable[[], Numbers] = lambda: np.empty(0, np.uint64),
) -> Division:
    """Divide rows that have a number each; those `apart` all go to the test part.

    `contents` are hashes of rows, equal of equal rows, and `elsewhere` those of parts that have files of their own.
    """
    kept, known = np.arange(len(numbers)), []
    if rule.duplicates == "drop":
        kept = _one_of_each(contents(), apart, elsewhere())
    if groups is not None:
        known.append(np.array([row_hash(group.encode(errors="surrogateescape")) for group in groups], np.uint64))
    if rule.duplicates == "together":
        known.append(contents())
    units = _joined(known)[kept] if known else numbers[kept]
    apart = np.isin(units, units[apart[kept]])
    asked = {"valid": fractions.valid, "test": fractions.test}
    notes = []
    parts = _exact(units, seed, asked, apart) if rule.size == "exact" else _hashed(units, seed, asked, apart)
    free = {name: int((~apart[rows]).sum()) for name, rows in parts.items()}
    count = sum(free.values())
    if rule.size == "hash" and any(not free[name] and share * count >= 0.5 for name, share in asked.items()):
        parts = _exact(units, seed, asked, apart)
        notes.append("by the hash a part would have been empty: split.size exact was taken")
    elif rule.size == "hash":
        for name, share in asked.items():
            if abs(free[name] - share * count) > max(1.0, FAR * share * count):
                notes.append(
                    f"{name} has {free[name]} of {count} rows, of which {share:g} would be {share * count:.0f}: "
                    "split.size exact comes as near as can be"
                )
    if rule.duplicates == "together" and groups is None:
        _, sizes = np.unique(units, return_counts=True)
        if (alike := float((sizes.astype(float) ** 2).sum() / max(1, len(units)))) > OFTEN:
            notes.append(
                f"a row has {alike - 1:,.0f} equals on average, and these are of one part: parts differ in what is "
                "frequent, as split.duplicates keep would not let them"
            )
    rows = {name: kept[indices] for name, indices in parts.items()}
    return Division(rows, len(numbers) - len(kept), tuple(notes), len(np.unique(units)) if known else len(units))


def _one_of_each(contents: Numbers, apart: npt.NDArray[np.bool_], elsewhere: Numbers) -> Indices:
    """The first of equal rows, of those apart where there are such; none that is elsewhere."""
    order = np.lexsort((np.arange(len(contents)), ~apart))
    _, first = np.unique(contents[order], return_index=True)
    kept = np.sort(order[first])
    return kept[~np.isin(contents[kept], elsewhere)]


def _joined(known: Sequence[Numbers]) -> Numbers:
    """A number for each row, equal of those that any chain of equal numbers joins."""
    if len(known) == 1:
        return known[0]
    first, second = (np.unique(numbers, return_inverse=True)[1] for numbers in known)
    edges = (np.ones(len(first)), (first, second + first.max() + 1))
    size = first.max() + second.max() + 2
    component = connected_components(coo_matrix(edges, shape=(size, size)), directed=False)[1][first]
    least = np.full(size, np.iinfo(np.uint64).max)
    np.minimum.at(least, component, known[0])
    joined: Numbers = least[component]
    return joined


def _hashed(units: Numbers, seed: int, asked: dict[str, float], apart: npt.NDArray[np.bool_]) -> dict[str, Indices]:
    place = uniform(units, seed)
    in_test = (place < asked["test"]) | apart
    in_valid = ~in_test & (place < asked["test"] + asked["valid"])
    return _named(~in_test & ~in_valid, in_valid, in_test)


def _exact(units: Numbers, seed: int, asked: dict[str, float], apart: npt.NDArray[np.bool_]) -> dict[str, Indices]:
    """Units in an order that the seed draws fill test, then valid, as long as each comes nearer to its size by it.

    A part that no unit fits into gets the smallest of train.
    """
    names, inverse, sizes = np.unique(units[~apart], return_inverse=True, return_counts=True)
    chosen = np.zeros(len(names), np.int64)
    wanted = [share * sizes.sum() for share in (asked["test"], asked["valid"])]
    room = list(wanted)
    for unit in np.argsort(uniform(names, seed), kind="stable"):
        for part in (0, 1):
            if sizes[unit] <= 2 * room[part]:
                room[part] -= sizes[unit]
                chosen[unit] = part + 1
                break
    for part in (0, 1):
        left = np.flatnonzero(chosen == 0)
        if wanted[part] >= 0.5 and not (chosen == part + 1).any() and len(left) > 1:
            chosen[left[np.argmin(sizes[left])]] = part + 1
    of_row = np.ones(len(units), np.int64)  # those apart are of the test part
    of_row[~apart] = chosen[inverse]
    return _named(of_row == 0, of_row == 2, of_row == 1)


def _named(*rows: npt.NDArray[np.bool_]) -> dict[str, Indices]:
    return {name: np.flatnonzero(chosen) for name, chosen in zip(PARTS, rows, strict=True)}


def uniform(numbers: Numbers, seed: int) -> Array:
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
