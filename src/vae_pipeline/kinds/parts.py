"""The parts that every source delivers: images, recordings, rows of a table or sentences, labels, and their origin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.audio.spec import AudioSpec
from vae_pipeline.kinds.audio.tape import Tape
from vae_pipeline.kinds.image.spec import LEVELS, ScanReading
from vae_pipeline.kinds.spec import Column
from vae_pipeline.kinds.table.spec import CsvFormat
from vae_pipeline.recipe.data import ColumnScaling, Counted
from vae_pipeline.recipe.split import HASHED, SplitRule
from vae_pipeline.recipe.tokenizer import Tokenizer

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


class Readable(Protocol):
    """Rows that can be read a few at a time: an array, a memory map, or files decoded when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Indices) -> Array: ...


@dataclass(frozen=True)
class Part:
    """Rows of images or recordings, and a label (an index of the source's classes) for each, or None."""

    rows: Readable
    labels: Indices | None
    names: Sequence[str] | None = None
    """The key of each row; None where its index is all there is."""
    masks: Readable | None = None
    """[height, width] of each row, uint8: 1 where its defect is, else 0."""
    indices: Indices | None = None
    """The place of each row in the part that this one was split off from; None where it wasn't."""
    attributes: Marks | None = None
    """[rows, attributes]: True where a row shows an attribute of `ImageSource.attributes`."""


@dataclass(frozen=True)
class ImageSource:
    """Raw data. `valid` and `test` are parts of their own, or the fraction of `train` that is to be split off."""

    shape: tuple[int, int, int]
    dtype: str
    low: float
    high: float
    classes: tuple[str, ...]
    train: Part
    valid: Part | float
    test: Part | float
    origins: dict[str, str] = field(default_factory=dict)
    """Name of each file, or description: its digest."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason: number of files that were left out."""
    one_class: bool = False
    """True if every row whose label isn't 0 is an anomaly, to be kept for the test part."""
    levels: tuple[float, float] = LEVELS
    """`ImageSpec.levels`."""
    notes: tuple[str, ...] = ()
    """Notes that a reader must see."""
    split: SplitRule = HASHED
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The group of each row of train, and of parts with files of their own; empty where there are no groups."""
    attributes: tuple[str, ...] = ()
    """`ImageSpec.attributes`."""
    crop: int | None = None
    """`ImageSpec.crop`."""
    scans: ScanReading | None = None
    """The value of `ImageSpec.scans`."""


@dataclass(frozen=True)
class AudioSource:
    """Raw recordings; `valid` and `test` are parts of their own, or the fraction of `train` that is to be split off."""

    spec: AudioSpec
    train: Part
    valid: Part | float
    test: Part | float
    findings: dict[str, Any] = field(default_factory=dict)
    """Findings on the files: their rates, their seconds, how many were resampled, padded, clipped or silent."""
    origins: dict[str, str] = field(default_factory=dict)
    """Name of each file, or description: its digest."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason: number of files that were left out."""
    notes: tuple[str, ...] = ()
    """Notes that a reader must see."""
    split: SplitRule = HASHED
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The group of each row of train, and of parts with files of their own; empty where there are no groups."""
    beside: Mapping[str, Mapping[str, Tape]] = field(default_factory=dict)
    """The noises and rooms of each part, by the names of their fields in the data section."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self.spec.event_shape

    @property
    def dtype(self) -> str:
        """The type of a value on disk."""
        return self.spec.dtype

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.spec.classes

    @property
    def one_class(self) -> bool:
        """True if labels name anomalies: those of recordings don't."""
        return False


@dataclass(frozen=True)
class TableSource:
    """Rows of [columns], float64: NaN where a value is missing, codes for categories; not split, nothing fitted."""

    columns: tuple[Column, ...]
    """Columns without knots; the values of a category are those of all rows."""
    rows: Readable
    labels: Indices | None
    """0: normal, 1: an anomaly."""
    scaling: ColumnScaling
    one_class: bool
    valid: float
    test: float
    cells: int | None = None
    """Cells into which each column's numbers are sorted, about so many; None for none."""
    counts: Counted = None
    """Names of the columns that count, "all" for all numbers; None for none."""
    dependent: bool = False
    """True if columns that follow from others are sought, and drawn so."""
    ignored: tuple[str, ...] = ()
    origins: dict[str, str] = field(default_factory=dict)
    """Name of each file, or description: its digest."""
    csv: CsvFormat = field(default_factory=CsvFormat)
    """The way in which a text file of rows was written."""
    absent: tuple[str, ...] = ()
    """Texts that stand for a missing value."""
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Findings on each column of the file: its kind, how it is written, how many values it lacks and has."""
    notes: tuple[str, ...] = ()
    """Notes that a reader should look at."""
    split: SplitRule = HASHED
    groups: Sequence[str] | None = None
    """The group of each row."""


@dataclass(frozen=True)
class TextSource:
    """Sentences, one a line. `valid` and `test` are lines of their own, or the fraction of `train` to be split off."""

    train: Sequence[str]
    valid: Sequence[str] | float
    test: Sequence[str] | float
    tokenizer: Tokenizer
    limit: int
    long: Literal["truncate", "drop", "fail"]
    origins: dict[str, str] = field(default_factory=dict)
    """Name of each file, or description: its digest."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason: number of lines that were left out."""
    split: SplitRule = HASHED
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The group of each row of train, and of parts with files of their own; empty where there are no groups."""


Source = ImageSource | AudioSource | TableSource | TextSource
"""Raw data of any kind."""
