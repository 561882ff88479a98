"""The section `data` of sentences."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vae_pipeline.recipe.data.file import File
from vae_pipeline.recipe.section import Count, Fraction, Place, Section, SomeFraction
from vae_pipeline.recipe.split import (
    HASHED,
    GroupedByLine,
    Ungrouped,
    require_fractions,
)
from vae_pipeline.recipe.tokenizer import Tokenizer


class DrawnSentencesData(Section):
    """Sentences of a small grammar, drawn from the seed: needs no file."""

    kind: Literal["drawn_sentences"]
    examples: Count
    """Examples that are drawn, all parts together."""
    tokenizer: Tokenizer
    """The tokenizer, which is fitted to train."""
    limit: Annotated[Count, Field(ge=2)]
    """The most tokens of a sentence, its end counted."""
    long: Literal["truncate", "drop", "fail"]
    """The treatment of longer ones, as of a text."""
    valid: Fraction
    """A fraction of the training data that is kept for validation; 0 for none."""
    test: SomeFraction
    """A fraction of the training data that is kept for the test."""
    split: Ungrouped = HASHED
    """The rule by which the fractions are taken."""


class TextData(Section):
    """Sentences: a UTF-8 file of one a line, gzipped or not, or a column of a .csv or .parquet."""

    kind: Literal["text"]
    column: Place | None
    """The column of a table that holds them; null for a file of lines."""
    tokenizer: Tokenizer
    """The tokenizer, which is fitted to train."""
    limit: Annotated[Count, Field(ge=2)]
    """The most tokens of a sentence, its end counted."""
    long: Literal["truncate", "drop", "fail"]
    """The treatment of longer ones: `truncate` keeps their beginning, and an end."""
    train: File
    """The file to train on."""
    valid: Fraction | File
    """A file of its own, or a fraction of train."""
    test: SomeFraction | File
    """A file of its own, or a fraction of train."""
    split: GroupedByLine = HASHED
    """The rule by which the fractions are taken."""

    @model_validator(mode="after")
    def _parts_can_be_divided(self) -> "TextData":
        require_fractions(self.split, self.valid, self.test)
        if self.column is None and self.split.groups is not None and self.split.groups.column is not None:
            raise ValueError("split.groups.column is one of a table, and data.column names none: take pattern")
        return self
