"""A DICOM file to its images: rescaled, by its window where that is wanted, its colours as RGB.

Source: DICOM PS3.3, C.7.6.3 (pixels), C.11.1 (modality LUT), C.11.2 (VOI LUT and windows).
"""

import hashlib
import io
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.image.scans.decoded import MOST, Decoded
from vae_pipeline.kinds.image.scans.libraries import medical, quiet
from vae_pipeline.system.errors import CorruptFileError, DataError

Array = npt.NDArray[Any]
MARK = slice(128, 132), b"DICM"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
IMAGE = "Image Storage"
"""A part of the names of classes whose files hold images: one that lacks its pixels was cut short."""
TOLD = ("BurnedInAnnotation", "PhotometricInterpretation")
GREYS = ("MONOCHROME1", "MONOCHROME2")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
KEPT = (
    *("PhotometricInterpretation", "BitsStored", "PixelRepresentation", "ModalityLUTSequence", "RescaleSlope"),
    *("RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
)
"""The fields on which values depend; a file of many frames may have some of them for each."""
GROUPED = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
FAR = 1e15  # beyond any value: what a window maps to its ends


def read_header(content: bytes, shown: str) -> Any:
    """The fields of a DICOM file, pixels included, undecoded; None of one that says it holds no image.

    Raises:
        CorruptFileError: it is cut short or corrupt.
    """
    pydicom = medical("pydicom")
    try:
        with quiet():
            header = pydicom.dcmread(io.BytesIO(content), force=True)
            if any(field in header for field in PIXELS):
                return header
            if IMAGE not in _class(header):
                return None
    except Exception:  # a damaged file raises nearly anything, with fields of it in the message
        pass
    raise CorruptFileError(f"{shown} is a truncated or corrupt DICOM file: leave it out")


def _class(header: Any) -> str:
    """The name of the class that a file says it is of; an image's where it says none, as if it were cut short."""
    told = header.get("SOPClassUID") or getattr(header.file_meta, "MediaStorageSOPClassUID", None)
    return str(told.name) if told else IMAGE


def _patient(header: Any) -> str | None:
    """A hash of the patient's id and its issuer; None where the file tells no id."""
    told = [str(header.get(field, "") or "").strip() for field in ("IssuerOfPatientID", "PatientID")]
    return hashlib.sha256("\0".join(told).encode()).hexdigest() if told[1] else None


def _is_synthetic(header: Any) -> bool:
    return str(header.get("SyntheticData", "") or "").strip() == "YES"


def read_dicom(header: Any, shown: str, windowed: bool) -> Decoded:
    """The frames of a file; `windowed` by the window or table that it stores, in [0, 1].

    Raises:
        CorruptFileError: its pixels are cut short or corrupt.
        DataError: no decoder is installed, names may be burnt into its pixels, or it stores no window.
    """
    try:
        with quiet():
            burnt, kind = (str(header.get(field, "")).strip() for field in TOLD)
    except Exception:  # as in `read_header`: a field is read when it is asked for
        raise CorruptFileError(f"{shown} is a truncated or corrupt DICOM file: leave it out") from None
    if burnt.upper() == "YES":
        raise DataError(
            f"{shown} says that texts are burnt into its pixels (BurnedInAnnotation YES), which may name a patient: "
            "blank them and set the field to NO, or leave the file out"
        )
    if kind not in (*GREYS, *COLOURS, "PALETTE COLOR"):
        raise DataError(
            f"{shown} is of a photometric kind that isn't read: {', '.join(GREYS)}, RGB, YBR_* or PALETTE COLOR is "
            "wanted; convert it, or leave it out"
        )
    frames = _frames(header, shown)
    try:
        with quiet(), np.errstate(over="ignore"):
            if kind not in GREYS:
                colours = _as_bytes(_coloured(frames, header, kind), header)
                return Decoded(colours, patient=_patient(header), synthetic=_is_synthetic(header))
            greys = [_grey(frame, _fields(header, index), windowed) for index, frame in enumerate(frames)]
            tomogram = header.get("Modality") == "CT"
            inverted = kind == "MONOCHROME1"
            return Decoded(np.stack(greys), inverted, _patient(header), tomogram, _is_synthetic(header))
    except _NoWindowError:
        raise DataError(
            f"{shown} stores no window: give data.window a level and a width, or null for the range of all scans"
        ) from None
    except Exception:
        raise CorruptFileError(f"{shown} has fields of pixels that contradict each other: leave it out") from None


class _NoWindowError(Exception):
    """A file has neither a window nor a table of display."""


def _frames(header: Any, shown: str) -> Array:
    """Stored values of [frames, height, width] or [frames, height, width, 3]; YBR is made RGB."""
    pixels = medical("pydicom.pixels")
    with quiet():
        syntax: Any = getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", None)
        try:
            decoder = pixels.get_decoder(syntax)
        except (NotImplementedError, TypeError, ValueError):
            decoder = None
    if decoder is None or not decoder.is_available:
        named = "in a way that it doesn't tell" if syntax is None else f"as {syntax.name}"
        raise DataError(
            f"{shown} is compressed {named}, and no decoder for it is installed: pip install pylibjpeg "
            "pylibjpeg-libjpeg pylibjpeg-openjpeg, or decompress the file"
        )
    try:
        with quiet():
            count = int(header.get("NumberOfFrames") or 1)
            sides = [count, int(header.Rows), int(header.Columns), int(header.SamplesPerPixel)]
            if math.prod(sides) <= MOST:
                found = np.asarray(pixels.pixel_array(header))
                return found if count > 1 else found[None]
    except Exception:  # as in `read_header`
        other = f", or no decoder that is installed takes its {syntax.name}" if syntax.is_compressed else ""
        raise CorruptFileError(f"{shown} has pixels that are truncated or corrupt{other}: leave it out") from None
    raise DataError(f"{shown} has over {MOST:,} values: cut it into several files")


def _fields(header: Any, frame: int) -> Any:
    """The fields on which a frame's values depend: its own, those of all frames, or the file's."""
    found = medical("pydicom").Dataset()
    own, shared = (header.get(name) for name in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"))
    groups = [*(shared or [])[:1], *(own or [])[frame : frame + 1]]
    for holder in (header, *(item for group in groups for name in GROUPED for item in group.get(name) or [])):
        for field in KEPT:
            if holder.get(field) is not None:
                found[field] = holder[field]
    return found


def _grey(values: Array, fields: Any, windowed: bool) -> Array:
    pixels = medical("pydicom.pixels")
    rescaled = pixels.apply_modality_lut(values, fields).astype(np.float64)
    if not windowed:
        return np.asarray(rescaled)
    if fields.get("VOILUTSequence"):
        _, _, bits = fields.VOILUTSequence[0].LUTDescriptor
        return np.asarray(pixels.apply_voi(rescaled.astype(np.int64), fields) / (2.0**bits - 1))
    if fields.get("WindowWidth") is None or fields.get("WindowCenter") is None:
        raise _NoWindowError
    shown = pixels.apply_windowing(np.append(rescaled.ravel(), [-FAR, FAR]), fields)
    black, white = shown[-2:]
    return np.asarray(((shown[:-2] - black) / (white - black)).reshape(rescaled.shape))


def _coloured(frames: Array, header: Any, kind: str) -> Array:
    if kind != "PALETTE COLOR":
        return frames
    pixels = medical("pydicom.pixels")
    return np.stack([np.asarray(pixels.apply_color_lut(frame, header))[..., :3] for frame in frames])


def _as_bytes(colours: Array, header: Any) -> Array:
    """The upper 8 bits of colours."""
    stored = 8 * colours.dtype.itemsize if "RedPaletteColorLookupTableData" in header else int(header.BitsStored)
    return np.asarray((colours >> max(0, stored - 8)).astype(np.uint8))
