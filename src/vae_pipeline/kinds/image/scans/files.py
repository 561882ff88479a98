"""The scans of a place. A scan is called by its number in the order of paths, since its name may be a patient's."""

import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vae_pipeline.kinds.blocks import Blocks
from vae_pipeline.kinds.folders import groups_of
from vae_pipeline.kinds.image.scans.look import ScanLook
from vae_pipeline.kinds.image.scans.reading import by_path
from vae_pipeline.kinds.image.scans.table import Table
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.listing import list_files
from vae_pipeline.recipe.data import ScansData
from vae_pipeline.recipe.split import Groups
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.workbench import Workbench


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
    blocks: Blocks

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


def survey(place: Path, data: ScansData, bench: Workbench | None = None) -> Scans:
    """List and decode the scans of a place; what is found is kept on the workbench.

    Raises:
        DataError: a scan can't be used, or none is there.
        WorkerError: a process that read some was ended from outside.
    """
    try:
        listing = list_files(place, by_path)
    except DataError:
        if not place.exists():
            raise
        raise DataError(  # the message may show a path
            f"{place} can't be listed: an archive is corrupt, is encrypted or has paths that lead out of it, two "
            "archives hold a file of one name, or there is a folder that can't be read"
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

    blocks = Blocks(
        dataclasses.replace(listing, read=read),
        ScanLook(data),
        Workbench.temporary() if bench is None else bench,
        shown.__getitem__,
    )
    told = blocks.findings
    imageless = ~told["corrupt"] & ~told["image"]
    dropped.update(
        {
            reason: int(each.sum())
            for reason, each in {
                "truncated or corrupt scan": told["corrupt"],
                "file without an image as DICOM or NIfTI": imageless,
            }.items()
            if each.any()
        }
    )
    found = [
        Scan(
            name,
            shown[name],
            images=int(each["rows"]),
            coloured=bool(each["coloured"]),
            low=float(each["range"][0]),
            high=float(each["range"][1]),
            sides=(int(each["sides"][0]), int(each["sides"][1])),
            patient=str(each["patient"]) or None,
            tomogram=bool(each["tomogram"]),
        )
        for name, each in zip(listing.names, told, strict=True)
        if each["image"]
    ]
    if not found:
        raise DataError(
            f"{place} holds no scans as DICOM or as NIfTI (.nii, .nii.gz) that can be read; passed over: "
            f"{', '.join(f'{number} x {reason}' for reason, number in dropped.items()) or 'nothing'}"
        )
    names = [scan.name for scan in found]
    used = dataclasses.replace(
        listing, names=names, read=read, broken=(), digest=lambda _: listing.digest(map(bytes, told["digest"]))
    )
    return Scans(used, tuple(found), dropped, blocks)
