"""A scan's file to the images that a recipe chooses, whichever form it has."""

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from vae_pipeline.kinds.archives import ENDINGS
from vae_pipeline.kinds.image.scans.decoded import Decoded
from vae_pipeline.kinds.image.scans.dicom import MARK, read_dicom, read_header
from vae_pipeline.kinds.image.scans.nifti import is_nifti, read_nifti, uncompressed
from vae_pipeline.kinds.image.spec import ScanReading
from vae_pipeline.recipe.data import ScansData
from vae_pipeline.system.errors import CorruptFileError, DataError

SUFFIXES = (".dcm", ".dicom", ".ima")
"""Ends of the names of DICOM files that may lack their mark."""
VOLUMES = (".nii", ".nii.gz")
"""Ends of the names of NIfTI files."""


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
    """All names but hidden ones and those of archives, in their order."""
    seen = [name for name in names if not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)]
    kept = sorted(name for name in seen if not name.lower().endswith(ENDINGS))
    return kept, Counter({"archive beside other files": len(seen) - len(kept)} if len(kept) < len(seen) else {})
