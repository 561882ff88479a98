"""A look at scans: what a survey must know of each; its images are rows once the range of all greys is known."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import PIL

from vae_pipeline.kinds import blocks
from vae_pipeline.kinds.blocks import Look, Looked, Range, code_of
from vae_pipeline.kinds.image.scans import decoded, dicom, fitting, nifti, reading
from vae_pipeline.kinds.image.scans.fitting import brought_to, within_range
from vae_pipeline.kinds.image.scans.reading import decoded_of
from vae_pipeline.kinds.parts import Array
from vae_pipeline.recipe.data import ScansData
from vae_pipeline.system.errors import DataError

NOTHING = (False, False, (0.0, 0.0), (0, 0), "", False)


class ScanLook(Look):
    """The images of a scan, [channels, height, width]; nothing of a patient but a hash is told of one."""

    noun, at_once = "scans", 16
    told = (
        ("image", "?"), ("coloured", "?"), ("range", "f8", 2), ("sides", "i8", 2), ("patient", "U64"), ("tomogram", "?")
    )  # fmt: skip
    """`image` is False of a file that holds none; the rest as `files.Scan` has it."""

    def __init__(self, data: ScansData) -> None:
        self.data, self.event = data, tuple(data.shape)
        self.dtype = "uint8" if data.shape[0] == 3 else "float32"
        self.dropping = data.corrupt == "drop"

    @property
    def made_of(self) -> list[Any]:
        """The fields that change rows, the libraries and the code."""
        told = self.data.model_dump(mode="json", include={"shape", "resize", "window", "slices"})
        libraries = [_version(name) for name in ("pydicom", "nibabel")]
        return [told, PIL.__version__, libraries, *code_of(blocks, reading, dicom, nifti, decoded, fitting)]

    def look(self, content: bytes, name: str, shown: str) -> Looked:
        """Decode a scan and find the range of its greys."""
        scan = decoded_of(content, name, shown, self.data)
        if scan is None:
            return Looked(np.zeros((0, *self.event), self.dtype), NOTHING)
        images = scan.images
        low, high = (float(images.min()), float(images.max())) if images.size else (np.nan, np.nan)
        if not np.isfinite([low, high]).all():
            raise DataError(f"{shown} holds NaN or infinity, or nothing: clean it first")
        told = (True, scan.coloured, (low, high), images.shape[1:3], scan.patient or "", scan.tomogram)
        return Looked(len(images), told)

    def bring(self, content: bytes, name: str, shown: str, levels: Range) -> Array:
        """Bring the images of a scan into the range of all and to one size."""
        scan, shape, resize = decoded_of(content, name, shown, self.data), self.data.shape, self.data.resize
        assert scan is not None  # it was looked at before
        images = (within_range(scan, place, *levels) for place in range(len(scan.images)))
        return np.stack([brought_to(each, shown, shape, resize, *levels) for each in images])


def _version(package: str) -> str:
    """The version of an extra; nothing where it isn't installed, which is told once a file needs it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
