"""Rows of a table, split and written in the one on-disk form; what is fitted is fitted to the training part.

Where there is one class, train and valid hold normal rows alone, and test the rest of them with every anomaly.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from scipy.special import ndtri

from vae_pipeline.data.sources.parts import Array, Indices, TableSource
from vae_pipeline.data.store import PARTS, save_array, uniform
from vae_pipeline.errors import DataError
from vae_pipeline.files import write_json
from vae_pipeline.recipe.data import ColumnScaling
from vae_pipeline.spec import Column, TableSpec

CLIP = 10.0  # scaled units, beyond which a value is taken for this far
QUANTILES = 101
CLASSES = ("normal", "anomaly")


def write_table(source: TableSource, folder: Path, seed: int) -> None:
    """Split `source`, fit its columns, and write all into `folder`.

    Raises:
        DataError: a part comes out empty, or a column holds nothing in the training part.
    """
    parts = split_table(source, seed)
    rows = {name: source.rows[indices] for name, indices in parts.items()}
    for name in PARTS:
        empty = np.flatnonzero(np.isnan(rows[name]).all(axis=1))
        if len(empty):
            raise DataError(f"row {parts[name][empty[0]]} of the table holds no value in any column: leave it out")
    columns = []
    for index, column in enumerate(source.columns):
        fitted = fit_column(column, rows["train"][:, index], source.scaling)
        if column.kind == "category":
            for part in rows.values():
                part[:, index] = _recoded(part[:, index], column, fitted)
        columns.append(fitted)
    card: dict[str, Any] = {
        "examples": {name: len(part) for name, part in rows.items()},
        "shape": [len(columns)],
        "dtype": "float32",
        "columns": {column.name: _summary(column, rows["train"][:, index]) for index, column in enumerate(columns)},
        "classes": {},
        "origins": source.origins,
        "dropped": {},
        "split": {
            "kind": "one_class" if source.one_class else "random",
            "indices": {
                name: f"sha256:{hashlib.sha256(indices.tobytes()).hexdigest()}" for name, indices in parts.items()
            },
        },
        "duplicates": _duplicates(rows),
    }
    for name, part in rows.items():
        save_array(folder / f"{name}.npy", part)
        if source.labels is not None:
            labels = source.labels[parts[name]]
            save_array(folder / f"{name}_labels.npy", labels)
            counts = np.bincount(labels, minlength=len(CLASSES))
            card["classes"][name] = dict(zip(CLASSES, counts.tolist(), strict=True))
    TableSpec(tuple(columns), source.ignored, () if source.labels is None else CLASSES).save(folder / "spec.json")
    write_json(folder / "card.json", card)


def split_table(source: TableSource, seed: int) -> dict[str, Indices]:
    """The rows of each part, by a hash of the seed and the row's index: rows that are appended move no other.

    Raises:
        DataError: a part that is wanted comes out empty.
    """
    count = len(source.rows)
    place = uniform(np.arange(1, count + 1, dtype=np.uint64), seed)
    apart = source.labels == 1 if source.one_class and source.labels is not None else np.zeros(count, bool)
    test = (place < source.test) | apart
    valid = ~test & (place < source.test + source.valid)
    parts = {name: np.flatnonzero(chosen) for name, chosen in zip(PARTS, (~test & ~valid, valid, test), strict=True)}
    for name, indices in parts.items():
        if not len(indices) and (name != "valid" or source.valid):
            raise DataError(
                f"the {name} part is empty: {count} rows, {int(apart.sum())} of them kept for the test part, are too "
                "few for the fractions in the recipe; give more data or other fractions"
            )
    return parts


def fit_column(column: Column, values: Array, scaling: ColumnScaling) -> Column:
    """The column with its knots and, of a category, the values that occur.

    Raises:
        DataError: no value is present.
    """
    present = values[~np.isnan(values)].astype(np.float64)
    if not len(present):
        raise DataError(
            f"column {column.name} holds no value in the training part: set data.columns.{column.name} to ignored"
        )
    match column.kind:
        case "number" | "date":
            return dataclasses.replace(column, knots=_knots(present, scaling))
        case "boolean":
            return dataclasses.replace(column, knots=((0.0, 0.0), (1.0, 1.0)))
        case "category":
            known = tuple(column.values[int(code)] for code in np.unique(present))
            most = float(len(known))
            return dataclasses.replace(column, values=known, knots=((0.0, 0.0), (most, most)))
        case _:
            assert_never(column.kind)


def _knots(present: Array, scaling: ColumnScaling) -> tuple[tuple[float, float], ...]:
    centre, scale = float(present.mean()), float(present.std())
    if scaling == "robust":
        low, centre, high = (float(value) for value in np.quantile(present, (0.25, 0.5, 0.75)))
        # Of a Gaussian, the quartiles are 1.349 standard deviations apart; where half of all are equal, that is 0.
        scale = (high - low) / 1.349 or scale
    if scale <= 1e-6 * abs(centre):  # constant, as far as float32 can tell
        scale = max(abs(centre), 1.0)
    elif scaling == "quantile":
        return _quantile_knots(present, scale)
    return ((centre - CLIP * scale, -CLIP), (centre + CLIP * scale, CLIP))


def _quantile_knots(present: Array, scale: float) -> tuple[tuple[float, float], ...]:
    """Quantiles to those of N(0, 1); beyond the extremes a unit is a standard deviation, so that far stays far."""
    shares, least = np.linspace(0, 1, min(QUANTILES, len(present))), 0.5 / len(present)
    quantiles = np.quantile(present, shares).astype(np.float32)
    raw, first, counts = np.unique(quantiles, return_index=True, return_counts=True)
    share = shares.clip(least, 1 - least)
    middle = ndtri(np.array([share[at : at + count].mean() for at, count in zip(first, counts, strict=True)]))
    inner = [(float(x), float(y)) for x, y in zip(raw, middle, strict=True)]
    (low, down), (high, up) = inner[0], inner[-1]
    return ((low - (CLIP + down) * scale, -CLIP), *inner, (high + (CLIP - up) * scale, CLIP))


def _recoded(codes: Array, before: Column, after: Column) -> Array:
    """Codes of all values to those of the values that the training part holds, or one past them."""
    place = {value: code for code, value in enumerate(after.values)}
    table = np.array([*(place.get(value, len(place)) for value in before.values), np.nan], np.float32)
    return np.asarray(table[np.where(np.isnan(codes), len(before.values), codes).astype(int)])


def _summary(column: Column, values: Array) -> dict[str, Any]:
    """Of the training part, for a reader."""
    present = values[~np.isnan(values)].astype(np.float64)
    found: dict[str, Any] = {"kind": column.kind, "missing": len(values) - len(present)}
    if column.kind == "category":
        counts = np.bincount(present.astype(int), minlength=len(column.values))
        return found | {"counts": dict(zip(column.values, counts.tolist(), strict=True))}
    return found | {"min": float(present.min()), "max": float(present.max()), "mean": float(present.mean())}


def _duplicates(rows: dict[str, Array]) -> dict[str, int]:
    keys = {name: np.array([row.tobytes() for row in part], object) for name, part in rows.items()}
    train = set(keys["train"])
    return {
        "within_train": len(keys["train"]) - len(train),
        "valid_in_train": sum(key in train for key in keys["valid"]),
        "test_in_train": sum(key in train for key in keys["test"]),
    }
