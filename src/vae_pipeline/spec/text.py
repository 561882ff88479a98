"""What a model must know of sentences: how text becomes ids and back, and which ids mean what."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_pipeline.errors import DataError

PADDING, START, END, UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
SPECIAL = (PADDING, START, END, UNKNOWN)
"""The first entries of every vocabulary, in this order: their ids are 0 to 3."""


@dataclass(frozen=True)
class TextSpec:
    """Sentences as they lie on disk: [limit] of int32, the ids of tokens, then `end`, then `padding`."""

    limit: int
    """The most tokens of a sentence, its `end` counted."""
    vocabulary: int
    """How many ids there are."""
    tokenizer: dict[str, Any]
    """Of the library `tokenizers`, as its JSON."""
    padding: int = 0
    start: int = 1
    """What a decoder is given before the first token; it occurs in no sentence."""
    end: int = 2
    unknown: int = 3
    classes: tuple[str, ...] = ()
    dtype: str = "int32"
    kind: str = "text"

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return (self.limit,)

    @property
    def dimensions(self) -> None:
        """Number of values in one observation: sentences differ in it."""
        return

    @property
    def unit(self) -> float:
        """What differences of values are taken relative to."""
        return 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TextSpec":
        """Inverse of `to_dict`.

        Raises:
            DataError: a field is missing, unknown or of another kind.
        """
        try:
            spec = cls(**{**values, "classes": tuple(values["classes"])})
            spec._validate()
            return spec
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"not a data spec ({error}): run `vae-pipeline prepare` again") from error

    def _validate(self) -> None:
        counts = (self.limit, self.vocabulary)
        if not all(isinstance(count, int) for count in counts) or self.limit < 2 or self.vocabulary <= len(SPECIAL):
            raise ValueError(f"limit is {self.limit} and vocabulary {self.vocabulary}; wanted 2 or more, 5 or more")
        if (self.padding, self.start, self.end, self.unknown) != (0, 1, 2, 3):
            raise ValueError("padding, start, end and unknown must be 0, 1, 2 and 3")
        if self.dtype != "int32" or self.kind != "text" or self.classes or not isinstance(self.tokenizer, dict):
            raise ValueError(f"dtype is {self.dtype!r}, classes {list(self.classes)}; wanted int32, none, a tokenizer")

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n")
