"""Text to ids of tokens and back, by the tokenizer that a spec holds.

Needs what `runtime` needs, and the library `tokenizers`.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from vae_pipeline.errors import DataError
from vae_pipeline.spec.text import SPECIAL, TextSpec

Array = npt.NDArray[Any]


class Tokens:
    """A tokenizer whose first four ids are those of `text.SPECIAL`."""

    def __init__(self, tokenizer: Tokenizer, limit: int) -> None:
        self.tokenizer, self.limit = tokenizer, limit

    @classmethod
    def of(cls, spec: TextSpec) -> "Tokens":
        """The tokenizer of a spec.

        Raises:
            DataError: the spec doesn't hold one.
        """
        try:
            return cls(Tokenizer.from_str(json.dumps(spec.tokenizer)), spec.limit)
        except Exception as error:  # the library raises Exception itself
            raise DataError(f"the spec's tokenizer can't be read ({error}): prepare, train and export again") from error

    def ids(self, lines: Sequence[str]) -> list[list[int]]:
        """Of each line, without an end; what text can't mean (an end, padding) is unknown."""
        unknown = len(SPECIAL) - 1
        found = self.tokenizer.encode_batch(list(lines), add_special_tokens=False)
        return [[unknown if each < len(SPECIAL) else each for each in line.ids] for line in found]

    def observations(self, lines: Sequence[str]) -> Array:
        """[lines, limit]: ids, the end, padding.

        Raises:
            DataError: a line has no token, or more than the limit.
        """
        found = self.ids(lines)
        for number, ids in enumerate(found, 1):
            if not ids or len(ids) >= self.limit:
                raise DataError(
                    f"line {number} has {len(ids)} tokens; this model takes sentences of 1 to {self.limit - 1}: "
                    f"{'leave empty lines out' if not ids else 'shorten it, or split it'}"
                )
        return padded(found, self.limit)

    def text(self, observations: Iterable[Sequence[int]]) -> list[str]:
        """What rows of ids say, each up to its end."""
        return [self.tokenizer.decode(_sentence(row), skip_special_tokens=False) for row in observations]


def padded(sentences: Sequence[Sequence[int]], limit: int) -> Array:
    """[sentences, limit]: ids, the end, padding; what is over the limit is cut off."""
    padding, _, end, _ = range(len(SPECIAL))
    rows = np.full((len(sentences), limit), padding, np.int32)
    for row, ids in zip(rows, sentences, strict=True):
        kept = ids[: limit - 1]
        row[: len(kept)] = kept
        row[len(kept)] = end
    return rows


def _sentence(row: Sequence[int]) -> list[int]:
    ids = [int(each) for each in row]
    end = SPECIAL.index("<eos>")
    return ids[: ids.index(end)] if end in ids else ids
