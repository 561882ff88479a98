"""Scans that a model is given: read as those that it was trained on, and called by their numbers, never their names."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.archives import is_archive
from vae_pipeline.kinds.image.decoding import SUFFIXES as PICTURES
from vae_pipeline.kinds.image.decoding import Resize
from vae_pipeline.kinds.image.scans.decoded import Decoded
from vae_pipeline.kinds.image.scans.fitting import brought_to, within_range
from vae_pipeline.kinds.image.scans.reading import SUFFIXES, VOLUMES, by_path, decoded_by, is_dicom
from vae_pipeline.kinds.image.spec import ImageSpec, ScanReading
from vae_pipeline.kinds.listing import list_files
from vae_pipeline.system.errors import CorruptFileError, DataError

Array = npt.NDArray[Any]
OTHERS = (*PICTURES, ".npy", ".npz", ".csv", ".json")
"""Ends of the names of files that are no scans."""
PLAIN = ScanReading(windowed=False, plane="axial", first=0.0, last=1.0, resize="none")
"""The way in which files that nobody took are read: `augment` writes them in the data's units."""


@dataclass(frozen=True)
class ScanInput:
    """A scan that is read when it is wanted."""

    name: str
    """Its name where something is written: the numbers of its input and of itself there."""
    images: int
    """Its slices or frames; 1 of one that can't be read."""
    read: Callable[[], Iterator[Array]]
    """Give its images [channels, height, width], as large as they are; a DataError says what is wrong with it."""
    fit: Callable[[Array, Resize], Array]
    """Bring one to the model's size, as the scans that it was trained on were, or as asked."""


def scan_inputs(path: Path, spec: ImageSpec, number: int = 1) -> list[ScanInput]:
    """The scans that a path stands for, in the order of paths; none where it holds none.

    `number` is the path's among the inputs.

    Raises:
        DataError: a folder or an archive can't be listed.
    """
    if path.is_dir() or (path.is_file() and not path.name.lower().endswith(OTHERS) and is_archive(path)):
        try:
            listing = list_files(path, by_path)
        except DataError:  # its message may show a path
            raise DataError(f"{path} can't be listed: mend its archive or its folders") from None
        reads = {name: partial(listing.read, name) for name in listing.names if _may_be(name, spec)}
        names = [name for name, read in reads.items() if _is_scan(read, name)]
        digits = len(str(len(names)))
        called = {}
        for at, name in enumerate(names, 1):
            shown = f"scan {at} of {len(names)} of {path} (in the order of paths)"
            called[name] = f"input_{number}/scan_{at:0{digits}}", shown
        return [_input(reads[name], name, *called[name], spec) for name in names]
    if path.is_file() and _may_be(path.name, spec) and _is_scan(path.read_bytes, path.name):
        return [_input(path.read_bytes, path.name, f"input_{number}", f"input {number}", spec)]
    return []


def _may_be(name: str, spec: ImageSpec) -> bool:
    lower = name.lower()
    return lower.endswith((*SUFFIXES, *VOLUMES)) or (spec.scans is not None and not lower.endswith(OTHERS))


def _is_scan(read: Callable[[], bytes], name: str) -> bool:
    return name.lower().endswith((*SUFFIXES, *VOLUMES)) or is_dicom(read(), name)


def _input(content: Callable[[], bytes], name: str, called: str, shown: str, spec: ImageSpec) -> ScanInput:
    reading = spec.scans or PLAIN

    def decoded() -> Decoded:
        found = decoded_by(content(), name, shown, reading)
        if found is None:
            raise DataError(f"{shown} holds no image as DICOM or as NIfTI: leave it out")
        _require_fit(found, shown, spec)
        return found

    def read() -> Iterator[Array]:
        found = decoded()
        ends = (spec.low, spec.high) if spec.scans else (float(found.images.min()), float(found.images.max()))
        return (within_range(found, at, *ends) for at in range(len(found.images)))

    def fit(image: Array, resize: Resize) -> Array:
        low, high = (spec.low, spec.high) if spec.scans else (float(image.min()), float(image.max()))
        found = brought_to(image, shown, spec.shape, reading.resize if resize == "none" else resize, low, high)
        return (np.rint(found) if spec.dtype == "uint8" else found).astype(spec.dtype)

    try:
        images = len(decoded().images)
    except DataError:  # told where it is read
        images = 1
    return ScanInput(called, images, read, fit)


def _require_fit(found: Decoded, shown: str, spec: ImageSpec) -> None:
    """Refuse a scan that means nothing to the model.

    Raises:
        DataError: the model has seen no scans, and it isn't one that nobody took; or its channels are other ones.
        CorruptFileError: it holds NaN or infinity, or nothing.
    """
    if spec.scans is None and not found.synthetic:
        raise DataError(
            f"{shown} is a scan, and the data weren't read from scans (data.kind: scans), or by a version that didn't "
            "keep how: prepare and train such data anew, or give arrays in the model's units"
        )
    if found.coloured != (spec.shape[0] == 3):
        has, wanted = ("colours", "greys") if found.coloured else ("greys", "colours")
        raise DataError(f"{shown} holds {has}, and the model's images have {spec.shape[0]} channels: give {wanted}")
    if not found.images.size or not np.isfinite(found.images).all():
        raise CorruptFileError(f"{shown} holds NaN or infinity, or nothing: clean it first")
