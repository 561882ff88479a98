"""DICOM files of images that nobody took: Secondary Capture, marked as synthetic, without a patient.

The standard's marks: Synthetic Data (0008,001C) is YES, Image Type DERIVED and SECONDARY, Conversion Type SYN (a
synthetic image). Patient's Name and ID are SYNTHETIC; dates and all else that a type 2 attribute would tell of a person
is empty. Derivation Description says what the image is, Image Comments the same as JSON.

Source: DICOM PS3.3, A.8.1 (Secondary Capture), C.8.6 (Conversion Type), C.12.1 (Synthetic Data); PS3.5, B.2 (UIDs that
are derived from UUIDs, under the root 2.25).
"""

import hashlib
import io
import json
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.image.pictures import to_pixels
from vae_pipeline.kinds.image.spec import ImageSpec
from vae_pipeline.system.errors import MissingError

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
NOBODY = "SYNTHETIC"
LONGEST = 1024  # characters of a derivation's description
ALONE = ("index", "source", "other", "place")
"""The parts of a record in which the images of a series differ."""


def require_dicom() -> Any:
    """The package pydicom, for those who have it.

    Raises:
        MissingError: it isn't installed.
    """
    try:
        import pydicom  # noqa: PLC0415 (it costs only those who write DICOM)
    except ModuleNotFoundError as error:
        raise MissingError(
            "DICOM files need the package pydicom, which isn't installed: pip install 'vae-pipeline[medical]', or take "
            "--format png"
        ) from error
    return pydicom


def dicom_of(image: npt.NDArray[Any], spec: ImageSpec, record: Mapping[str, Any]) -> bytes:
    """A file of [channels, height, width] in the data's units, grey or of three colours.

    Greys have 8 bits where the data are whole numbers of 8 bits, else 16, and a rescale slope and intercept that lead
    back to the data's units. UIDs follow from what the record says: the same image has the same ones.

    Raises:
        MissingError: pydicom isn't installed.
    """
    pydicom = require_dicom()
    file = pydicom.Dataset()
    file.SpecificCharacterSet = "ISO_IR 192"
    file.ImageType = ["DERIVED", "SECONDARY"]
    file.SOPClassUID = SECONDARY_CAPTURE
    file.SyntheticData = "YES"
    for empty in ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"):
        setattr(file, empty, "")
    file.Modality, file.ConversionType, file.Manufacturer = "OT", "SYN", "vae-pipeline"
    file.DerivationDescription = _description(record)
    file.PatientName = file.PatientID = NOBODY
    file.PatientBirthDate = file.PatientSex = ""
    together = {name: value for name, value in record.items() if name not in ALONE}
    file.StudyInstanceUID, file.SeriesInstanceUID = _uid("study", together), _uid("series", together)
    file.SeriesNumber, file.InstanceNumber = 1, record["index"] + 1
    file.PatientOrientation = ""
    file.BurnedInAnnotation = "NO"
    file.ImageComments = json.dumps({"synthetic": True, **record}, ensure_ascii=False)
    _put_pixels(file, image, spec)
    file.SOPInstanceUID = _uid("instance", {**record, "pixels": hashlib.sha256(file.PixelData).hexdigest()})
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def _put_pixels(file: Any, image: npt.NDArray[Any], spec: ImageSpec) -> None:
    channels, file.Rows, file.Columns = image.shape
    bits = 16 if spec.dtype == "float32" and channels == 1 else 8
    most = 2**bits - 1
    if bits == 16:
        scaled = (image.astype(np.float64) - spec.low) / (spec.high - spec.low)
        pixels = np.rint(scaled.clip(0, 1) * most).astype("<u2")
    else:
        pixels = to_pixels(image, spec.low, spec.high)
    file.SamplesPerPixel = channels
    file.PhotometricInterpretation = "MONOCHROME2" if channels == 1 else "RGB"
    file.BitsAllocated = file.BitsStored = bits
    file.HighBit, file.PixelRepresentation = bits - 1, 0
    if channels == 3:
        file.PlanarConfiguration = 0
    elif (spec.low, spec.high) != (0, most):
        from pydicom.valuerep import DSfloat  # noqa: PLC0415 (it costs only those who write DICOM)

        file.RescaleSlope = DSfloat((spec.high - spec.low) / most, auto_format=True)
        file.RescaleIntercept = DSfloat(spec.low, auto_format=True)
        file.RescaleType = "US"
    values = pixels.transpose(1, 2, 0).tobytes()
    file.PixelData = values + b"\0" * (len(values) % 2)  # an element has an even length


def _description(record: Mapping[str, Any]) -> str:
    of = f", label {record['class']}" if "class" in record else ""
    return (
        f"{NOBODY}: no patient was imaged. Drawn by {record['producer']} of the model {record['of']}{of}: "
        f"{record['how']}, seed {record['seed']}, index {record['index']}, bundle {record['bundle_sha256']}"
    )[:LONGEST]


def _uid(kind: str, of: Mapping[str, Any]) -> str:
    told = json.dumps([kind, dict(of)], sort_keys=True)
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, told).int}"
