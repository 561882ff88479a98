"""The section that says how text becomes ids."""

from typing import Annotated, Literal

from pydantic import Field

from vae_pipeline.recipe.section import Count, Section


class Words(Section):
    """Words, and signs where `split` is `signs`; the rarest beyond the `vocabulary` are unknown ones."""

    kind: Literal["words"]
    vocabulary: Annotated[Count, Field(ge=5)]
    """The most ids, the four that are no words counted: padding, start, end, unknown."""
    split: Literal["blanks", "signs"]
    """`blanks`: only there; `signs`: punctuation is apart from words too."""
    lower: bool
    """If true, capitals become small letters."""


class BytePairs(Section):
    """Pieces of words, merged from bytes as often as the `vocabulary` allows; nothing is unknown."""

    kind: Literal["byte_pairs"]
    vocabulary: Annotated[Count, Field(ge=260)]
    """The most ids, the bytes and the four that are no text counted."""


class Bytes(Section):
    """The bytes of UTF-8: 256 of them, and four ids that are none."""

    kind: Literal["bytes"]


Tokenizer = Annotated[Words | BytePairs | Bytes, Field(discriminator="kind")]
