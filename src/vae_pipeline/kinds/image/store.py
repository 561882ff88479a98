"""Images, split and written in the one on-disk form."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vae_pipeline.kinds.division import row_hash
from vae_pipeline.kinds.mapped import save_array
from vae_pipeline.kinds.parts import Array, ImageSource, Readable
from vae_pipeline.kinds.spec import ImageSpec, within
from vae_pipeline.kinds.splitting import chunks, divide_images, duplicates, indices_of, parts_of, split_card, told
from vae_pipeline.recipe.split import HASHED
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import write_json

SMALL = 0.1  # share of the range


def write_images(source: ImageSource, folder: Path, seed: int) -> None:
    """Split `source` and write it into `folder`.

    Raises:
        DataError: values that are not finite or out of range, or a split that comes out empty.
    """
    division = divide_images(source, seed)
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
        with (folder / f"{name}.npy").open("wb") as file:
            writer = _Writer(file, len(part.rows), source)
            for chunk in chunks(part.rows):
                writer.write(_checked(chunk, source, name))
        binary = binary and writer.binary
        hashes[name] = np.array(writer.hashes, np.uint64)
        card["examples"][name] = len(part.rows)
        card["observed"][name] = writer.summary()
        if part.labels is not None:
            save_array(folder / f"{name}_labels.npy", part.labels)
            counts = np.bincount(part.labels, minlength=len(source.classes))
            card["classes"][name] = dict(zip(source.classes, counts.tolist(), strict=True))
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
    spec = ImageSpec(*values, source.attributes, source.crop)
    spec.save(folder / "spec.json")
    write_json(folder / "card.json", card)


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
        for chunk in chunks(masks):
            file.write(np.ascontiguousarray(chunk, np.uint8).data)
            shares.append(chunk.reshape(len(chunk), -1).mean(axis=1))
    share = np.concatenate(shares)[anomalous]
    odd = {"nothing": int((share == 0).sum()), "the whole picture": int((share == 1).sum())}
    return [f"{count} of {len(share)} masks of anomalies mark {what}" for what, count in odd.items() if count]


class _Writer:
    """Fills an .npy file chunk by chunk, and sums up what it held.

    Not through a memory map: on a full disk that ends the process instead of raising an error.
    """

    def __init__(self, file: BinaryIO, count: int, source: ImageSource) -> None:
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
            self.hashes.append(row_hash(row.tobytes()))
        self.binary = self.binary and bool(((chunk == self.low) | (chunk == self.high)).all())

    def summary(self) -> dict[str, float]:
        if self.size == 0:
            return {}
        return {"min": self.least, "max": self.most, "mean": round(self.total / self.size, 6)}
