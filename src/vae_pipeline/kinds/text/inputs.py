"""Sentences that a user names, as a model takes them: read and tokenised once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.text.lines import read_lines
from vae_pipeline.kinds.text.tokens import Tokens
from vae_pipeline.system.errors import DataError


@dataclass(frozen=True)
class SentencesRead:
    """The sentences of some files, one after the other."""

    x: npt.NDArray[np.int32]
    """[sentences, limit]: ids, the end, padding."""
    numbers: list[int]
    """The number of each one's line or row in its file, from 1."""


def read_sentences(paths: Sequence[Path], tokens: Tokens, column: str | None) -> SentencesRead:
    """Sentences of texts, one a line, or of a `column` of tables.

    Raises:
        DataError: a file can't be read or used, or the model takes no sentence of some line's length.
    """
    if not paths:
        raise DataError("no input was given: name a text of a sentence a line, or a table and its --column")
    texts: list[str] = []
    numbers: list[int] = []
    places: list[str] = []
    for path in paths:
        lines = read_lines(path, column)
        texts += lines.texts
        numbers += lines.numbers
        places += [f"{'line' if column is None else 'row'} {number} of {path}" for number in lines.numbers]
    return SentencesRead(tokens.observations(texts, places), numbers)
