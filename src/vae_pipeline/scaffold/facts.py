"""Facts on data from which a recipe is suggested."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ImageFacts:
    """Images of one shape."""

    examples: int
    """The number of all of them, before any are held back."""
    shape: tuple[int, int, int]
    """Channels, height, width."""
    dtype: Literal["uint8", "float32"]
    range: tuple[float, float]
    """The lowest and highest value that can occur."""
    binary: bool
    """True if each value is one of these two."""
    classes: int
    """Different labels; 0 if there are none."""


@dataclass(frozen=True)
class AudioFacts:
    """Recordings of one length."""

    examples: int
    """The number of all of them, in windows where they are cut, before any are held back."""
    rate_hz: int
    length: int
    """Samples of each."""
    classes: int
    """Different labels; 0 if there are none."""


@dataclass(frozen=True)
class TableFacts:
    """Rows, and the columns that a model learns."""

    examples: int
    """The number of all rows, before any are held back."""
    numbers: int
    booleans: int
    categories: int
    dates: int
    labelled: bool
    """True if it is known which rows are normal."""

    @property
    def columns(self) -> int:
        """Columns of every kind."""
        return self.numbers + self.booleans + self.categories + self.dates


@dataclass(frozen=True)
class TextFacts:
    """Sentences."""

    examples: int
    """The number of all of them, before any are held back."""
    vocabulary: int
    """Different ids of tokens, those of padding, start, end and unknown words too."""
    longest: int
    """Tokens of the longest sentence."""
    typical: int
    """Tokens of a sentence in the middle."""


Facts = ImageFacts | AudioFacts | TableFacts | TextFacts
