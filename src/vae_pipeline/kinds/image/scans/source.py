"""Medical scans as a source: images of one size and range, and patients who are each in one part."""

from collections import Counter
from pathlib import Path

import numpy as np

from vae_pipeline.kinds.blocks import BlockRows
from vae_pipeline.kinds.folders import class_names, numbered
from vae_pipeline.kinds.image.scans.files import Scan, Scans, survey
from vae_pipeline.kinds.image.scans.reading import reading_of
from vae_pipeline.kinds.image.scans.table import Table
from vae_pipeline.kinds.parts import ImageSource, Part
from vae_pipeline.recipe.data import InColumn, ScansData, Window
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import sha256_of
from vae_pipeline.system.workbench import Workbench


def open_scans(data: ScansData, bench: Workbench) -> ImageSource:
    """List the scans of each part.

    Raises:
        DataError: a scan can't be used, or a patient is in two parts.
        WorkerError: a process that read some was ended from outside.
    """
    places = {name: place for name, place in _places(data).items() if isinstance(place, str)}
    scans = {name: survey(Path(place), data, bench) for name, place in places.items()}
    for part in scans.values():
        _refuse_other_channels(part, data)
    table = None if data.table is None else Table.read(Path(data.table))
    patients = {name: part.patients(data.patients, table) for name, part in scans.items()}
    _refuse_shared(patients, places)
    labels, notes = _labels(scans, data, table)
    classes = tuple(sorted({label for part in labels.values() for label in part}))
    if classes:
        _refuse_patients_as_classes(labels, patients)
    low, high = _range(scans, data)
    parts, groups = {}, {}
    for name, part in scans.items():
        owners = part.owners
        rows = BlockRows(part.blocks, (low, high))
        numbers = numbered(labels[name], classes)[owners] if classes else None
        parts[name] = Part(rows, numbers, [part.found[owner].name for owner in owners])
        groups[name] = [patients[name][owner] for owner in owners]
    every = [scan for part in scans.values() for scan in part.found]
    dropped = sum((part.dropped for part in scans.values()), Counter[str]())
    origins = {part.listing.place: part.listing.digest(None) for part in scans.values()}
    return ImageSource(
        shape=data.shape,
        dtype="uint8" if data.shape[0] == 3 else "float32",
        low=low,
        high=high,
        classes=classes,
        train=parts["train"],
        valid=parts["valid"] if "valid" in parts else float(data.valid),
        test=parts["test"] if "test" in parts else float(data.test),
        origins=origins | ({} if data.table is None else {data.table: f"sha256:{sha256_of(Path(data.table))}"}),
        dropped=dict(dropped),
        notes=(*_told(every, patients, data, low, high), *notes),
        split=data.split,
        groups=groups,
        scans=reading_of(data),
    )


def _places(data: ScansData) -> dict[str, object]:
    return {"train": data.train, "valid": data.valid, "test": data.test}


def _refuse_other_channels(scans: Scans, data: ScansData) -> None:
    coloured = data.shape[0] == 3
    other = [scan for scan in scans.found if scan.coloured != coloured]
    if other:
        raise DataError(
            f"{other[0].shown} holds {'greys' if coloured else 'colours'}, and data.shape has {data.shape[0]} "
            f"channels: set it to {1 if coloured else 3}, or leave out such files, {len(other)} in all"
        )


def _refuse_shared(patients: dict[str, list[str]], places: dict[str, str]) -> None:
    names = list(patients)
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            if shared := {*patients[name]} & {*patients[other]}:
                count = sum(patient in shared for patient in patients[other])
                raise DataError(
                    f"{len(shared)} {'patient is' if len(shared) == 1 else 'patients are'} both in {name} "
                    f"({places[name]}) and in {other} ({places[other]}), there with {count} scans: move all scans of "
                    "a patient to one part, or give valid and test as fractions of train"
                )


def _labels(scans: dict[str, Scans], data: ScansData, table: Table | None) -> tuple[dict[str, list[str]], list[str]]:
    """The class of each scan of each part, and what is to be said of folders."""
    if isinstance(data.labels, InColumn):
        assert table is not None  # a recipe says so
        return {name: table.column(data.labels.column, part.listing) for name, part in scans.items()}, []
    found = {name: class_names(part.listing, data.labels) for name, part in scans.items()}
    return {name: names for name, (names, _) in found.items()}, [note for _, notes in found.values() for note in notes]


def _refuse_patients_as_classes(labels: dict[str, list[str]], patients: dict[str, list[str]]) -> None:
    """Refuse classes most of which are one patient's: their names are stored, and would be patients'."""
    of_class: dict[str, set[str]] = {}
    for name, part in labels.items():
        for label, patient in zip(part, patients[name], strict=True):
            of_class.setdefault(label, set()).add(patient)
    single = sum(len(each) == 1 for each in of_class.values())
    if len(of_class) > 1 and 2 * single > len(of_class):
        raise DataError(
            f"{single} of {len(of_class)} classes hold the scans of one patient each, so that a class would name a "
            "patient: set data.labels to none, or to what several patients share"
        )


def _range(scans: dict[str, Scans], data: ScansData) -> tuple[float, float]:
    if data.shape[0] == 3:
        return 0.0, 255.0
    if isinstance(data.window, Window):
        return data.window.level - data.window.width / 2, data.window.level + data.window.width / 2
    if data.window == "stored":
        return 0.0, 1.0
    every = [scan for part in scans.values() for scan in part.found]
    low, high = (float(np.float32(edge)) for edge in (min(s.low for s in every), max(s.high for s in every)))
    if low >= high:
        raise DataError(f"all scans hold one grey, {low:g}, throughout: name others")
    return low, high


def _told(scans: list[Scan], patients: dict[str, list[str]], data: ScansData, low: float, high: float) -> list[str]:
    count = len({patient for part in patients.values() for patient in part})
    images = sum(scan.images for scan in scans)
    notes = [f"{images} images of {len(scans)} scans and {count} patients, each patient in one part"]
    if data.shape[0] == 1 and data.window is None:
        notes.append(f"greys of all scans fill [{low:g}, {high:g}], which is their range; data.window gives another")
    known = [scan.patient for scan in scans if scan.patient is not None]
    if data.patients == "file" and len({*known}) < len(known):
        notes.append(
            f"data.patients says that each file is of another patient, and the {len(known)} DICOM headers with an id "
            f"name {len({*known})}: patients: tag goes by them"
        )
    return notes
