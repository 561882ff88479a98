"""A look at a folder or an archive of scans: their sizes and greys, their patients and what their folders say."""

from collections import Counter
from pathlib import Path
from typing import Any

from vae_pipeline.kinds.folders import class_names
from vae_pipeline.kinds.image.scans.files import Scans, survey
from vae_pipeline.kinds.image.scans.reading import VOLUMES, by_path, is_dicom
from vae_pipeline.kinds.listing import list_files
from vae_pipeline.recipe.data import ScansData
from vae_pipeline.scaffold.facts import ImageFacts
from vae_pipeline.scaffold.looking.found import Found, Places, require_enough
from vae_pipeline.scaffold.looking.layout import division, parts_of, told_parts
from vae_pipeline.scaffold.looking.pictures import Sample, shape_of
from vae_pipeline.system.errors import DataError

SAMPLE = 20  # files by which a place is told to hold scans
SOFT_TISSUE = {"level": 40, "width": 400}
"""A usual window of CT, in Hounsfield units."""


def holds_scans(path: Path) -> bool:
    """True if most of some files of a folder, an archive or shards are scans, by their names or beginnings."""
    try:
        listing = list_files(path, by_path)
    except DataError:  # told once its pictures are sought
        return False
    some = listing.names[:: max(1, len(listing.names) // SAMPLE)]
    scans = (name.lower().endswith(VOLUMES) or is_dicom(listing.read(name), name) for name in some)
    return 2 * sum(scans) > len(some)


def look_at_scans(path: Path, places: Places) -> Found:
    """The scans of a folder or an archive. No name of a file is told, nor of a folder that may be a patient's.

    Raises:
        DataError: there are too few that can be read.
    """
    parts = parts_of(path)
    found = {name: survey(place, _section(place)) for name, place in parts.items()}
    scans = [scan for part in found.values() for scan in part.found]
    count = sum(scan.images for scan in scans)
    notes = require_enough(count, "images of scans", path)
    coloured = [scan for scan in scans if scan.coloured]
    if 0 < len(coloured) < len(scans):
        raise DataError(
            f"{path} holds {len(coloured)} scans in colour and {len(scans) - len(coloured)} in greys: part them"
        )
    sample = Sample(Counter(scan.sides for scan in scans), not coloured, 0, len(scans))
    shape, resize, sizes = shape_of(sample)
    patients, told = _patients(found)
    labels, classes, of_labels = _labels(found, patients)
    window = SOFT_TISSUE if all(scan.tomogram for scan in scans) else None
    low, high = min(scan.low for scan in scans), max(scan.high for scan in scans)
    dropped = sum((part.dropped for part in found.values()), Counter[str]())
    said = [
        f"{count:,} images of {len(scans):,} scans, {'in colour' if coloured else f'greys from {low:g} to {high:g}'}, "
        f"{sizes}",
        f"brought to {shape[2]}x{shape[1]}: data.shape and data.resize change that" if resize != "none" else "",
        "computed tomograms, seen through a window of soft tissue: data.window gives another" if window else "",
        told,
        of_labels,
        told_parts({name: part.listing for name, part in found.items()}),
        *(f"passed over: {number} x {reason}" for reason, number in dropped.items()),
        *notes,
    ]  # fmt: skip
    data: dict[str, Any] = {
        "kind": "scans",
        "shape": list(shape),
        "resize": resize,
        "window": window,
        "labels": labels,
        "patients": patients,
        "corrupt": "drop" if dropped["truncated or corrupt scan"] or dropped["link that leads nowhere"] else "fail",
        **division(parts, count, places),
    }
    facts = ImageFacts(
        count, shape, "uint8" if coloured else "float32", (0, 255) if coloured else (low, high), False, classes
    )
    return Found(facts, data, f"{count:,} images of medical scans", [line for line in said if line])


def _section(place: Path) -> ScansData:
    """All slices of all scans, whatever they are."""
    fields = {"shape": (1, 1, 1), "resize": "stretch", "window": None, "labels": "none", "patients": "file"}
    return ScansData.model_validate(
        {"kind": "scans", **fields, "corrupt": "drop", "train": str(place), "valid": 0.1, "test": 0.1}
    )


def _patients(found: dict[str, Scans]) -> tuple[str, str]:
    """The key `patients`, and what is to be said of it."""
    known = [scan.patient for part in found.values() for scan in part.found]
    count = len({*known})
    if None not in known and count > 1:
        return "tag", f"{count:,} patients by the ids in their headers: each is in one part"
    why = "all headers have one id" if None not in known else "headers name no patient"
    return "file", f"{why}, so that each file is taken for another patient's: set data.patients where that isn't so"


def _labels(found: dict[str, Scans], patients: str) -> tuple[str, int, str]:
    """The key `labels`, the number of classes, and what is to be said of them: folders that several patients share."""
    folders = {name: class_names(part.listing, "folders")[0] for name, part in found.items()}
    of_class: dict[str, set[str | None]] = {}
    for name, part in found.items():
        for folder, scan in zip(folders[name], part.found, strict=True):
            of_class.setdefault(folder, set()).add(scan.patient)
    if len(of_class) < 2 or any(len({*each}) < 2 for each in folders.values()):
        return "none", 0, ""
    if patients == "tag" and all(len(each) > 1 for each in of_class.values()):
        return "folders", len(of_class), f"{len(of_class)} classes by folder: {', '.join(sorted(of_class)[:4])}"
    why = "as they may be patients': data.labels takes them"
    return "none", 0, f"{len(of_class):,} folders aren't taken for classes, {why}"
