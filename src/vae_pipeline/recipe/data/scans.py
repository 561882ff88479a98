"""The section `data` of medical scans."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from vae_pipeline.recipe.section import Finite, Fraction, Place, Positive, Section, Shape, Sharded, SomeFraction
from vae_pipeline.recipe.split import HASHED, Groups, Ungrouped, require_fractions

Share = Annotated[float, Field(ge=0, le=1)]


class Window(Section):
    """A window of the greys, in the units of the scans: Hounsfield units of CT, such as {level: 40, width: 400}."""

    level: Finite
    """Its middle."""
    width: Positive
    """Its width; greys below it are black and those above it white."""


class InColumn(Section):
    """A column of `table`."""

    column: Place
    """Its name."""


class Slices(Section):
    """The images of a scan that has several: slices of a NIfTI volume, frames of a DICOM file."""

    plane: Literal["axial", "coronal", "sagittal"] = "axial"
    """The plane of a NIfTI volume's slices, whatever the order of its axes in the file; not of frames."""
    first: Share = 0.0
    """The share of them that is left out before the first one."""
    last: Share = 1.0
    """The share at which the last one lies: first 0.3 and last 0.7 take the middle two fifths; equal ones take one."""

    @model_validator(mode="after")
    def _ascending(self) -> "Slices":
        if self.first > self.last:
            raise ValueError("first must not be over last")
        return self


class ScansData(Sharded):
    """Scans in a folder, a .zip or a .tar, as DICOM or as NIfTI files; nothing but pixels and the labels is copied."""

    kind: Literal["scans"]
    shape: Shape
    """Channels (1: grey, in the units of the scans; 3: RGB of 8 bits), height, width that every image is brought to."""
    resize: Literal["none", "stretch", "crop", "pad"]
    """Images of another size: `none` refuses them, `stretch` changes their proportions, `crop` cuts the edges, `pad`
    adds a black border."""
    window: Window | Literal["stored"] | None
    """The greys that the model sees: a window of all scans, or the one that each DICOM file stores; null for the range
    that all scans together fill, and for colours."""
    slices: Slices = Slices()
    """The slices of a volume or the frames of a file that are taken; each is an example."""
    labels: Literal["none", "folders", "paths"] | InColumn
    """`folders`: the name of the folder that a scan lies in is its class; `paths`: the folder's path is; or a
    column."""
    patients: Literal["tag", "file"] | Groups
    """The patient of a scan, who is never in two parts: `tag` is DICOM's PatientID; `file` says that each file is of
    another patient; or a column of table, a level of folders, a pattern of paths."""
    table: Place | None = None
    """A CSV whose first row names its columns, and whose first column names each scan: its file's name, or its path
    below train, valid or test."""
    corrupt: Literal["fail", "drop"]
    """Scans that can't be decoded: `fail` at the first, or `drop` them and count."""
    train: Place
    """Path of the folder or archive."""
    valid: Fraction | Place
    """A path, or a fraction of train."""
    test: SomeFraction | Place
    """A path, or a fraction of train."""
    split: Ungrouped = HASHED
    """The rule by which the fractions are taken."""

    @field_validator("shape")
    @classmethod
    def _grey_or_rgb(cls, shape: Shape) -> Shape:
        if shape[0] not in (1, 3):
            raise ValueError("a scan has 1 channel (grey) or 3 (RGB)")
        return shape

    @model_validator(mode="after")
    def _fields_agree(self) -> "ScansData":
        require_fractions(self.split, self.valid, self.test)
        if self.shape[0] == 3 and self.window is not None:
            raise ValueError("a window is of greys, and shape has 3 channels: set window to null")
        if isinstance(self.patients, Groups) and self.patients.file is not None:
            raise ValueError("patients.file is of pictures: give column, folder or pattern")
        by_column = isinstance(self.labels, InColumn) or (
            isinstance(self.patients, Groups) and self.patients.column is not None
        )
        if by_column and self.table is None:
            raise ValueError("labels.column and patients.column are of table, and it is null: give the path of a CSV")
        if self.table is not None and not by_column:
            raise ValueError("table is given, and neither labels nor patients name a column of it: leave it out")
        return self
