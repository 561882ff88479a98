"""The scans of a place. A scan is called by its number in the order of paths, since its name may be a patient's."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from vae_pipeline.kinds.folders import groups_of
from vae_pipeline.kinds.image.scans.decoded import Decoded
from vae_pipeline.kinds.image.scans.dicom import MARK, read_dicom, read_header
from vae_pipeline.kinds.image.scans.nifti import is_nifti, read_nifti, uncompressed
from vae_pipeline.kinds.image.scans.table import Table
from vae_pipeline.kinds.image.spec import ScanReading
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.listing import list_files
from vae_pipeline.recipe.data import ScansData
from vae_pipeline.recipe.split import Groups
from vae_pipeline.system.errors import CorruptFileError, DataError

SUFFIXES = (".dcm", ".dicom", ".ima")
"""Ends of the names of DICOM files that may lack their mark."""
VOLUMES = (".nii", ".nii.gz")
"""Ends of the names of NIfTI files."""


@dataclass(frozen=True)
class Scan:
    """A scan, as a survey found it."""

    name: str
    """Its path; for the division alone, never shown."""
    shown: str
    """The words by which a message calls it."""
    images: int
    coloured: bool
    low: float
    high: float
    """The least and the largest grey of its images."""
    sides: tuple[int, int]
    """Height and width of each."""
    patient: str | None
    """A hash of the id in its header."""
    tomogram: bool
    """True of CT."""


@dataclass(frozen=True)
class Scans:
    """The scans of a place that are used."""

    listing: Listing
    found: tuple[Scan, ...]
    dropped: Counter[str]
    decode: Callable[[Scan], Decoded]

    @property
    def owners(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The scan of each image."""
        return np.repeat(np.arange(len(self.found)), [scan.images for scan in self.found])

    def patients(self, chosen: Literal["tag", "file"] | Groups, table: Table | None) -> list[str]:
        """The patient of each scan.

        Raises:
            DataError: one has none.
        """
        if chosen == "file":
            return [scan.name for scan in self.found]
        if chosen == "tag":
            known = [scan.patient for scan in self.found if scan.patient is not None]
            if len(known) < len(self.found):
                raise DataError(
                    f"{len(self.found) - len(known)} of {len(self.found)} scans of {self.listing.place} name no "
                    "patient in a DICOM header: set data.patients to a column, a level of folders or a pattern, or to "
                    "file where each file is of another patient"
                )
            return known
        if chosen.column is not None:
            assert table is not None  # a recipe says so
            return table.column(chosen.column, self.listing)
        try:
            return groups_of(self.listing, chosen)
        except DataError:  # its message shows a path
            wanted = "match of" if chosen.folder is None else "folder at the level"
            raise DataError(
                f"a scan of {self.listing.place} has no {wanted} data.patients, {chosen.pattern or chosen.folder}: "
                "take what all paths have"
            ) from None


def survey(place: Path, data: ScansData) -> Scans:
    """List and decode the scans of a place, once.

    Raises:
        DataError: a scan can't be used, or none is there.
    """
    try:
        listing = list_files(place, by_path)
    except DataError:
        if not place.exists():
            raise
        raise DataError(  # the message may show a path
            f"{place} can't be listed: it is a corrupt or encrypted archive, one with paths that lead out of it, or "
            "there is a folder in it that can't be read"
        ) from None
    dropped = Counter(listing.skipped)
    if listing.broken and data.corrupt == "fail":
        raise DataError(f"{place} holds {len(listing.broken)} links that lead nowhere: mend them, or set data.corrupt "
                        "to drop")  # fmt: skip
    dropped.update({"link that leads nowhere": len(listing.broken)} if listing.broken else {})
    shown = {
        name: f"scan {index} of {len(listing.names)} of {place} (in the order of paths)"
        for index, name in enumerate(listing.names, 1)
    }

    def read(name: str) -> bytes:
        try:
            return listing.read(name)
        except DataError as error:  # its message shows the path
            raise type(error)(f"{shown[name]} can't be read: mend its file") from None

    def decode(scan: Scan) -> Decoded:
        decoded = decoded_of(read(scan.name), scan.name, scan.shown, data)
        assert decoded is not None  # the survey read it
        return decoded

    found = []
    for name in listing.names:
        try:
            decoded = decoded_of(read(name), name, shown[name], data)
        except CorruptFileError:
            if data.corrupt == "fail":
                raise
            dropped["truncated or corrupt scan"] += 1
            continue
        if decoded is None:
            dropped["file without an image as DICOM or NIfTI"] += 1
            continue
        images = decoded.images
        low, high = (float(images.min()), float(images.max())) if images.size else (np.nan, np.nan)
        if not np.isfinite([low, high]).all():
            raise DataError(f"{shown[name]} holds NaN or infinity, or nothing: clean it first")
        sides, told = images.shape[1:3], (decoded.patient, decoded.tomogram)
        found.append(Scan(name, shown[name], len(images), decoded.coloured, low, high, sides, *told))
    if not found:
        raise DataError(
            f"{place} holds no scans as DICOM or as NIfTI (.nii, .nii.gz) that can be read; passed over: "
            f"{', '.join(f'{number} x {reason}' for reason, number in dropped.items()) or 'nothing'}"
        )
    names = [scan.name for scan in found]
    used = dataclasses.replace(listing, names=names, read=read, broken=())
    return Scans(used, tuple(found), dropped, decode)


def reading_of(data: ScansData) -> ScanReading:
    """The way in which a recipe has scans read."""
    slices = data.slices
    return ScanReading(data.window == "stored", slices.plane, slices.first, slices.last, data.resize)


def decoded_of(content: bytes, name: str, shown: str, data: ScansData) -> Decoded | None:
    """The images of a file that a recipe chooses, as `decoded_by` gives them."""
    return decoded_by(content, name, shown, reading_of(data))


def decoded_by(content: bytes, name: str, shown: str, reading: ScanReading) -> Decoded | None:
    """The chosen images of a file; None of one that holds no image.

    Raises:
        CorruptFileError, DataError: they can't be used.
    """
    if is_dicom(content, name):
        header = read_header(content, shown)
        if header is None:
            return None
        decoded = read_dicom(header, shown, reading.windowed)
    elif name.lower().endswith(VOLUMES):
        volume = uncompressed(content, shown)
        if not is_nifti(volume):
            raise CorruptFileError(f"{shown} is a truncated or corrupt NIfTI file, or none: leave it out")
        if reading.windowed:
            raise DataError(f"{shown} is a NIfTI file, which stores no window: give data.window a level and a width")
        decoded = read_nifti(volume, shown, reading.plane)
    else:
        return None
    return decoded.some(reading.first, reading.last)


def is_dicom(content: bytes, name: str) -> bool:
    """True of a file with DICOM's mark, or with a name that says so."""
    return content[MARK[0]] == MARK[1] or name.lower().endswith(SUFFIXES)


def by_path(names: Iterable[str]) -> tuple[list[str], Counter[str]]:
    """All names but hidden ones, in their order."""
    kept = [name for name in names if not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)]
    return sorted(kept), Counter()
