"""Images, split and written in the one on-disk form."""

from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.kinds.mapped import save_array
from vae_pipeline.kinds.part_files import write_labels, write_rows
from vae_pipeline.kinds.parts import Array, ImageSource, Indices, Part, Readable
from vae_pipeline.kinds.shards import paths_of
from vae_pipeline.kinds.spec import ImageSpec, within
from vae_pipeline.kinds.splitting import chunks, divide_rows, duplicates, indices_of, parts_of, split_card, told
from vae_pipeline.recipe.split import HASHED
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import write_json

SMALL = 0.1  # share of the range


def write_images(source: ImageSource, folder: Path, seed: int, shards: int | None = None) -> None:
    """Split `source` and write it into `folder`, the training part in `shards`.

    Raises:
        DataError: values that are not finite or out of range, or a split that comes out empty.
    """
    division = divide_rows(source, seed)
    parts = parts_of(source, division)
    card: dict[str, Any] = {
        "examples": {},
        "shape": list(source.shape),
        "dtype": source.dtype,
        "range": [source.low, source.high],
        "observed": {},
        "classes": {},
        "origins": source.origins,
        "dropped": source.dropped | ({"duplicate": division.left_out} if division.left_out else {}),
    }
    hashes: dict[str, Array] = {}
    notes = [*source.notes, *division.notes]
    binary = True
    for name, part in parts.items():
        extremes = _Extremes(source)
        checked = (extremes.seen(_checked(chunk, source, name)) for chunk in chunks(part.rows, source.shape))
        paths = paths_of(folder, name, len(part.rows), shards)
        written = write_rows(paths, len(part.rows), source.shape, source.dtype, checked)
        binary = binary and extremes.alone
        hashes[name] = written.hashes
        card["examples"][name] = len(part.rows)
        card["observed"][name] = written.observed
        if part.labels is not None:
            card["classes"][name] = write_labels(folder / f"{name}_labels.npy", part.labels, source.classes)
        if source.groups:
            save_array(folder / f"{name}_groups.npy", _groups(source, name, part))
        if part.attributes is not None:
            save_array(folder / f"{name}_attributes.npy", part.attributes)
            shown = part.attributes.sum(axis=0).tolist()
            card.setdefault("attributes", {})[name] = dict(zip(source.attributes, shown, strict=True))
        if part.masks is not None and name == "test":
            anomalous = np.ones(len(part.masks), bool) if part.labels is None else part.labels != 0
            notes += _write_masks(folder / f"{name}_masks.npy", part.masks, anomalous, source.shape[1:])
    if source.one_class or source.split != HASHED:
        kind = "one_class" if source.one_class else "random"
        card["split"] = split_card(kind, {name: indices_of(part) for name, part in parts.items()}, source.split)
    card["duplicates"] = duplicates(hashes)
    card["notes"] = [*notes, *_notes(card), *told(card)]
    values = (source.shape, source.dtype, source.low, source.high, binary, source.classes, source.levels)
    spec = ImageSpec(*values, source.attributes, source.crop, scans=source.scans)
    spec.save(folder / "spec.json")
    write_json(folder / "card.json", card)


def _groups(source: ImageSource, name: str, part: Part) -> Indices:
    """The group of each row of a part, by numbers in the order in which they come: no name is kept."""
    named = source.groups[name] if name in source.groups and name != "train" else source.groups["train"]
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(named[row], len(numbers)) for row in indices_of(part)], np.int64)


def _checked(chunk: Array, source: ImageSource, name: str) -> Array:
    if not np.isfinite(chunk).all():
        bad = int((~np.isfinite(chunk)).reshape(len(chunk), -1).any(axis=1).sum())
        raise DataError(f"{bad} of {len(chunk)} examples of the {name} part hold NaN or infinity: clean them first")
    inside = within(chunk, source.low, source.high)
    if inside is None:
        raise DataError(
            f"the {name} part holds values from {chunk.min():.7g} to {chunk.max():.7g}, but data.range says "
            f"[{source.low:g}, {source.high:g}]: set it to what can occur"
        )
    return inside.astype(source.dtype)


def _notes(card: dict[str, Any]) -> list[str]:
    """Values that fill a small part of their range, as those of an unknown depth do."""
    (low, high), seen = card["range"], card["observed"]["train"]
    if seen["max"] - seen["min"] > SMALL * (high - low):
        return []
    return [
        f"all values of train lie between {seen['min']:g} and {seen['max']:g}, a small part of the range [{low:g}, "
        f"{high:g}]: is it the right one?"
    ]


def _write_masks(path: Path, masks: Readable, anomalous: Array, shape: tuple[int, ...]) -> list[str]:
    """Fill an .npy file; returns what is to be said of anomalies whose masks mark nothing, or everything."""
    shares = []
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(masks), *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks(masks, shape):
            file.write(np.ascontiguousarray(chunk, np.uint8).data)
            shares.append(chunk.reshape(len(chunk), -1).mean(axis=1))
    share = np.concatenate(shares)[anomalous]
    odd = {"nothing": int((share == 0).sum()), "the whole picture": int((share == 1).sum())}
    return [f"{count} of {len(share)} masks of anomalies mark {what}" for what, count in odd.items() if count]


class _Extremes:
    """A watch on chunks: `alone` is True as long as the two ends of the range are their only values."""

    def __init__(self, source: ImageSource) -> None:
        self.low, self.high, self.alone = source.low, source.high, True

    def seen(self, chunk: Array) -> Array:
        self.alone = self.alone and bool(((chunk == self.low) | (chunk == self.high)).all())
        return chunk
