"""A NIfTI file to slices of one plane, scaled as its header says."""

import gzip
import io
import math
import zlib
from typing import Any

import numpy as np

from vae_pipeline.kinds.image.scans.decoded import MOST, Decoded
from vae_pipeline.kinds.image.scans.libraries import medical, quiet
from vae_pipeline.system.errors import CorruptFileError, DataError

MAGICS = {(344, 348): b"n+1\0", (4, 12): b"n+2\0\r\n\x1a\n"}
"""Places and bytes by which a single file of NIfTI-1 and of NIfTI-2 is known."""
LARGEST = 8 * MOST
"""Bytes of a volume."""
AXES = {"sagittal": 0, "coronal": 1, "axial": 2}


def is_nifti(content: bytes) -> bool:
    """True of a single file of NIfTI-1 or NIfTI-2, uncompressed."""
    return any(content[start:stop] == magic for (start, stop), magic in MAGICS.items())


def uncompressed(content: bytes, shown: str) -> bytes:
    """The content, decompressed where it is gzipped.

    Raises:
        CorruptFileError: it is cut short or corrupt.
        DataError: it is larger than any volume that is read.
    """
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        with gzip.open(io.BytesIO(content)) as file:
            inside = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error):
        raise CorruptFileError(f"{shown} is a truncated or corrupt .gz: leave it out") from None
    if len(inside) > LARGEST:
        raise DataError(f"{shown} has over {MOST:,} values: cut it into several files")
    return inside


def read_nifti(content: bytes, shown: str, plane: str) -> Decoded:
    """The slices of a plane, in the order of the axis from left to right, back to front or down to up.

    The volume's axes are brought next to the patient's first. In an axial slice the front is above, in the others the
    head; right is the patient's right or, in a sagittal one, the front.

    Raises:
        CorruptFileError: it is cut short or corrupt.
        DataError: it holds several volumes, or colours or complex numbers.
    """
    nibabel = medical("nibabel")
    version = nibabel.Nifti2Image if content[4:12] == MAGICS[4, 12] else nibabel.Nifti1Image
    try:
        with quiet():
            image = version.from_bytes(content)
            shape, dtype = tuple(map(int, image.shape)), image.get_data_dtype()
    except Exception:  # a damaged file raises nearly anything, with texts of it in the message
        raise CorruptFileError(f"{shown} is a truncated or corrupt NIfTI file: leave it out") from None
    if len(shape) < 2 or any(axis != 1 for axis in shape[3:]):
        raise DataError(f"{shown} holds values of shape {list(shape)}: save one volume of 3 axes a file")
    if dtype.kind not in "iuf":
        raise DataError(f"{shown} holds colours or complex numbers: a volume of greys is wanted")
    if math.prod(shape) > MOST:
        raise DataError(f"{shown} has over {MOST:,} values: cut it into several files")
    try:
        with quiet():
            volume = _upright(image, shape, nibabel)
    except Exception:
        raise CorruptFileError(f"{shown} is a truncated or corrupt NIfTI file: leave it out") from None
    slices = np.moveaxis(volume, AXES[plane], 0)
    return Decoded(np.ascontiguousarray(slices.transpose(0, 2, 1)[:, ::-1]))


def _upright(image: Any, shape: tuple[int, ...], nibabel: Any) -> Any:
    """Scaled values [left to right, back to front, down to up]."""
    turn = nibabel.io_orientation(image.affine)
    values = np.asarray(image.dataobj, np.float64).reshape((*shape, 1)[:3])
    return nibabel.apply_orientation(values, turn)
