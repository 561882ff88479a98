"""The section `data` of a table."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from vae_pipeline.recipe.data.file import File
from vae_pipeline.recipe.section import Fraction, Place, Section, Sharded, SomeFraction, later
from vae_pipeline.recipe.split import (
    HASHED,
    GroupedByColumn,
    Ungrouped,
)

ColumnScaling = Literal["standard", "robust", "quantile"]
"""Scaling by mean and standard deviation, by median and quartiles, or by quantiles to N(0, 1)'s; fitted to train."""

Cells = Annotated[int, Field(ge=4, le=512)] | None
Counted = Literal["all"] | Annotated[tuple[Place, ...], Field(min_length=1)] | None
"""Columns that count: all of numbers, or those of some names."""


class TumoursData(Sharded):
    """The 569 tumours of breast tissue that scikit-learn carries (UCI, 30 numbers); benign ones are normal."""

    kind: Literal["tumours"]
    scaling: ColumnScaling
    """Scaling of numbers, fitted to train."""
    cells: Cells = later(None)
    """Cells into which each column's numbers are sorted, about so many, for a likelihood with `numbers: histogram`; or
    null, which isn't stored, for none."""
    one_class: bool
    """True if malignant ones are kept for the test part alone."""
    valid: Fraction
    """A fraction of the training data that is kept for validation; 0 for none."""
    test: SomeFraction
    """A fraction of the training data that is kept for the test."""
    split: Ungrouped = HASHED
    """The rule by which the fractions are taken."""


class TableLabel(Section):
    """The column that says which rows are normal: those with the value `normal`, as it is written in the file."""

    column: Place
    """Name of the column."""
    normal: str
    """The value that normal rows have there."""


Mark = Annotated[str, Field(min_length=1, max_length=1)]


class Csv(Section):
    """The form of a text file of rows; null where it is to be found in the file."""

    separator: Mark | None = None
    """The character between two fields."""
    quote: Mark | None = None
    """The character around a field that holds a separator."""
    encoding: str | None = None
    """The encoding of a file that isn't UTF-8: latin-1, cp1252, ..."""
    header: bool | None = None
    """True if the first row names the columns; else they have the names of `names`, or x0, x1, ..."""
    names: Annotated[tuple[str, ...], Field(min_length=1)] | None = later(None)
    """The names of the columns, of a file whose first row doesn't name them; or null, which isn't stored: they are x0,
    x1, ... then."""
    comment: Annotated[str, Field(min_length=1)] | None = None
    """The beginning of a line that is no row."""
    decimal: Literal[".", ","] | None = None
    """The decimal mark."""
    thousands: Literal["", ",", ".", " ", "'"] | None = None
    """The mark between thousands; an empty text for none."""

    @model_validator(mode="after")
    def _named_once(self) -> "Csv":
        if self.names is not None and self.header:
            raise ValueError("header says that the first row names the columns, and names gives them: leave one out")
        if self.names is not None and len(set(self.names)) < len(self.names):
            raise ValueError(f"names are {', '.join(self.names)}: each column wants a name of its own")
        return self

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


class TableData(Sharded):
    """A table: a text of rows (.csv and its like, gzipped or not), .parquet, .jsonl, or an .npz of `X` and `y`."""

    kind: Literal["table"]
    file: File
    """The file, or a folder of parts."""
    label: TableLabel | None
    """The column that says which rows are normal; null for none, and all rows are taken to be normal."""
    columns: dict[str, Literal["number", "boolean", "category", "date", "ignored"] | DateColumn]
    """The kind of a column, where its values don't tell; {} leaves it to them."""
    csv: Csv = Csv()
    """The form of a text of rows, as far as it isn't to be found in the file."""
    missing: tuple[str, ...] = ()
    """Texts that stand for a missing value, beside an empty one, NA, null and their like."""
    scaling: ColumnScaling
    """Scaling of numbers, fitted to train: by mean and standard deviation, by median and quartiles, or by quantiles to
    N(0, 1)'s."""
    cells: Cells = later(None)
    """Cells into which each column's numbers are sorted, about so many, for a likelihood with `numbers: histogram`; or
    null, which isn't stored, for none."""
    counts: Counted = later(None)
    """Columns that count something, whole numbers from 0 up, for the likelihood's `counts`: `all` that hold numbers, or
    a list of names; or null, which isn't stored, for none. They aren't scaled, and have no cells."""
    dependent: bool = later(False)
    """True if columns that follow from others in each row of train, a class from a class or a number as a sum, are
    drawn so; or false, which isn't stored."""
    one_class: bool
    """True if anomalies are kept for the test part alone: train and valid are of normal rows."""
    valid: Fraction
    """A fraction; of the normal rows where `one_class` is true."""
    test: SomeFraction
    """A share of the normal rows where `one_class` is true, else of all."""
    split: GroupedByColumn = HASHED
    """The rule by which the fractions are taken."""

    @model_validator(mode="after")
    def _label_is_needed(self) -> "TableData":
        if self.one_class and self.label is None:
            raise ValueError("one_class keeps anomalies out of training, which needs a label: name it, or set false")
        return self
