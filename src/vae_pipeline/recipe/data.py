"""Where the observations come from."""

from typing import Annotated, Literal, assert_never

from pydantic import Field, field_validator, model_validator

from vae_pipeline.recipe.section import Count, Finite, Fraction, Place, Section, Shape, SomeFraction
from vae_pipeline.recipe.split import (
    HASHED,
    GroupedByColumn,
    GroupedByLine,
    GroupedByPath,
    Ungrouped,
    require_fractions,
)
from vae_pipeline.recipe.tokenizer import Tokenizer
from vae_pipeline.system.redaction import require_encoded


class File(Section):
    """A file of arrays: at a `path`, or at a `url` with the `digest` that it must have."""

    path: str | None = None
    url: str | None = Field(None, pattern=r"^(https?|ftp|file)://")
    digest: str | None = Field(None, pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$")
    key: str | None = Field(None, description="which array of an .npz")

    @field_validator("url")
    @classmethod
    def _secrets_are_encoded(cls, url: str | None) -> str | None:
        require_encoded(url or "")
        return url

    @model_validator(mode="after")
    def _one_origin(self) -> "File":
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path, or url and digest")
        if (self.url is None) != (self.digest is None):
            raise ValueError("a url needs the digest of what it delivers (sha256:... or md5:...)")
        return self


class ArrayPart(Section):
    """Images, and their labels if there are any."""

    images: File
    labels: File | None
    groups: File | None = None
    """An id for each image, a number or a text: images of one id (of one patient, say) are of one part."""


class SyntheticData(Section):
    """Grey bars on a dark ground, drawn from the seed: needs no file. The label says upright or lying."""

    kind: Literal["synthetic"]
    examples: Count
    side: Annotated[int, Field(ge=4)]
    valid: Fraction
    test: SomeFraction
    split: Ungrouped = HASHED


class DigitsData(Section):
    """The 1,797 real 8x8 digits that scikit-learn carries (UCI Optical Recognition, values 0..16)."""

    kind: Literal["digits"]
    valid: Fraction
    test: SomeFraction
    split: Ungrouped = HASHED


class ArraysData(Section):
    """IDX, .npy, .npz or .amat files, gzipped or not; `valid` and `test` are files, or a fraction of train."""

    kind: Literal["arrays"]
    shape: Shape
    """Channels, height, width of one image."""
    range: tuple[Finite, Finite]
    """The lowest and highest value that can occur; the model maps them to 0 and 1."""
    train: ArrayPart
    valid: Fraction | ArrayPart
    test: SomeFraction | ArrayPart
    split: Ungrouped = HASHED

    @model_validator(mode="after")
    def _parts_can_be_divided(self) -> "ArraysData":
        require_fractions(self.split, self.valid, self.test)
        return self

    @field_validator("range")
    @classmethod
    def _ascending(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[0] >= bounds[1]:
            raise ValueError("the lowest value must be under the highest")
        return bounds


class NormalFolder(Section):
    """One folder's pictures are flawless; those of the folders beside it show anomalies, kept for the test part."""

    normal: Place
    masks: Literal["none", "beside"]
    """`beside`: NAME.png is the mask of NAME.jpg, above 0 where the defect is."""


class FolderData(Section):
    """Pictures in a folder, a .zip or a .tar; `valid` and `test` are paths, or a fraction of train."""

    kind: Literal["folder"]
    shape: Shape
    """Channels (1: grey, 3: RGB), height, width that every image is brought to."""
    resize: Literal["none", "stretch", "crop", "pad"]
    labels: Literal["none", "folders", "paths"] | NormalFolder
    """`folders`: the name of the folder that an image lies in is its class; `paths`: the folder's path is."""
    corrupt: Literal["fail", "drop"]
    depth: Annotated[int, Field(ge=1, le=32)] | None = None
    """Bits of greys that are stored in more than 8; null for the range that they fill."""
    train: Place
    valid: Fraction | Place
    test: SomeFraction | Place
    split: GroupedByPath = HASHED

    @model_validator(mode="after")
    def _parts_can_be_divided(self) -> "FolderData":
        require_fractions(self.split, self.valid, self.test)
        return self

    @field_validator("shape")
    @classmethod
    def _grey_or_rgb(cls, shape: Shape) -> Shape:
        if shape[0] not in (1, 3):
            raise ValueError("a picture has 1 channel (grey) or 3 (RGB)")
        return shape

    @model_validator(mode="after")
    def _anomalies_are_for_test(self) -> "FolderData":
        if isinstance(self.labels, NormalFolder) and (isinstance(self.valid, str) or isinstance(self.test, str)):
            raise ValueError(
                "labels.normal keeps the anomalies of train for the test part: give valid and test as fractions "
                "(of the normal pictures)"
            )
        return self


ImageData = Annotated[SyntheticData | DigitsData | ArraysData | FolderData, Field(discriminator="kind")]


class DrawnDefectsData(Section):
    """Any images, and a defect that is drawn from the seed on a share of the test part: anomalies, with their masks."""

    kind: Literal["drawn_defects"]
    images: ImageData
    """Flawless; their labels, if any, aren't taken."""
    defects: Annotated[tuple[Literal["stripe", "blob", "missing"], ...], Field(min_length=1)]
    """Each as likely: a line, a spot, a part that is left out."""
    share: SomeFraction
    """The share of the test part that is defective."""

    @property
    def valid(self) -> Fraction | Place | ArrayPart:
        """The images' own part."""
        return self.images.valid

    @property
    def test(self) -> SomeFraction | Place | ArrayPart:
        """The images' own part."""
        return self.images.test

    @field_validator("images")
    @classmethod
    def _flawless(cls, images: ImageData) -> ImageData:
        if isinstance(images, FolderData) and isinstance(images.labels, NormalFolder):
            raise ValueError("defects are drawn on images that have none of their own: set labels to none")
        return images


ColumnScaling = Literal["standard", "robust", "quantile"]
"""Scaling by mean and standard deviation, by median and quartiles, or by quantiles to N(0, 1)'s; fitted to train."""


class TumoursData(Section):
    """The 569 tumours of breast tissue that scikit-learn carries (UCI, 30 numbers); benign ones are normal."""

    kind: Literal["tumours"]
    scaling: ColumnScaling
    one_class: bool
    valid: Fraction
    test: SomeFraction
    split: Ungrouped = HASHED


class TableLabel(Section):
    """The column that says which rows are normal: those with the value `normal`, as it is written in the file."""

    column: Place
    normal: str


Mark = Annotated[str, Field(min_length=1, max_length=1)]


class Csv(Section):
    """How a text file of rows is written; null where that is to be found in it."""

    separator: Mark | None = None
    quote: Mark | None = None
    encoding: str | None = None
    """The encoding of a file that isn't UTF-8: latin-1, cp1252, ..."""
    header: bool | None = None
    """Whether the first row names the columns; they are x0, x1, ... else."""
    comment: Annotated[str, Field(min_length=1)] | None = None
    """The beginning of a line that is no row."""
    decimal: Literal[".", ","] | None = None
    thousands: Literal["", ",", ".", " ", "'"] | None = None

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        try:
            "".encode(encoding or "utf-8")
        except LookupError as error:
            raise ValueError(f"{encoding!r} is no encoding that Python knows, such as latin-1 or cp1252") from error
        return encoding


class DateColumn(Section):
    """A column of dates that aren't ISO 8601."""

    kind: Literal["date"]
    format: Annotated[str, Field(pattern="%")]
    """The format in the letters of Python's strptime: %d/%m/%Y."""


class TableData(Section):
    """A table: a text of rows (.csv and its like, gzipped or not), .parquet, .jsonl, or an .npz of `X` and `y`."""

    kind: Literal["table"]
    file: File
    label: TableLabel | None
    columns: dict[str, Literal["number", "boolean", "category", "date", "ignored"] | DateColumn]
    """The kind of a column, where its values don't tell; {} leaves it to them."""
    csv: Csv = Csv()
    missing: tuple[str, ...] = ()
    """Texts that stand for a missing value, beside an empty one, NA, null and their like."""
    scaling: ColumnScaling
    one_class: bool
    """Whether anomalies are kept for the test part alone: train and valid are of normal rows."""
    valid: Fraction
    test: SomeFraction
    """A share of the normal rows where `one_class` is true, else of all."""
    split: GroupedByColumn = HASHED

    @model_validator(mode="after")
    def _label_is_needed(self) -> "TableData":
        if self.one_class and self.label is None:
            raise ValueError("one_class keeps anomalies out of training, which needs a label: name it, or set false")
        return self


class DrawnSentencesData(Section):
    """Sentences of a small grammar, drawn from the seed: needs no file."""

    kind: Literal["drawn_sentences"]
    examples: Count
    tokenizer: Tokenizer
    limit: Annotated[Count, Field(ge=2)]
    """The most tokens of a sentence, its end counted."""
    long: Literal["truncate", "drop", "fail"]
    valid: Fraction
    test: SomeFraction
    split: Ungrouped = HASHED


class TextData(Section):
    """Sentences: a UTF-8 file of one a line, gzipped or not, or a column of a .csv or .parquet."""

    kind: Literal["text"]
    column: Place | None
    """The column of a table that holds them; null for a file of lines."""
    tokenizer: Tokenizer
    """Fitted to train."""
    limit: Annotated[Count, Field(ge=2)]
    """The most tokens of a sentence, its end counted."""
    long: Literal["truncate", "drop", "fail"]
    """The treatment of longer ones: `truncate` keeps their beginning, and an end."""
    train: File
    valid: Fraction | File
    test: SomeFraction | File
    split: GroupedByLine = HASHED

    @model_validator(mode="after")
    def _parts_can_be_divided(self) -> "TextData":
        require_fractions(self.split, self.valid, self.test)
        if self.column is None and self.split.groups is not None and self.split.groups.column is not None:
            raise ValueError("split.groups.column is one of a table, and data.column names none: take pattern")
        return self


Data = Annotated[
    SyntheticData
    | DigitsData
    | ArraysData
    | FolderData
    | DrawnDefectsData
    | TumoursData
    | TableData
    | DrawnSentencesData
    | TextData,
    Field(discriminator="kind"),
]


def is_text(data: Data) -> bool:
    """Whether the section gives sentences."""
    return isinstance(data, DrawnSentencesData | TextData)


def is_table(data: Data) -> bool:
    """Whether the section gives rows of a table, and not images."""
    return isinstance(data, TumoursData | TableData)


def has_labels(data: Data) -> bool:
    """Whether the section names labels that a model may be conditional on; that a row is normal is none."""
    match data:
        case TumoursData() | TableData() | DrawnDefectsData() | DrawnSentencesData() | TextData():
            return False
        case ArraysData():
            return data.train.labels is not None
        case FolderData():
            return data.labels in ("folders", "paths")
        case SyntheticData() | DigitsData():
            return True
        case _:
            assert_never(data)
