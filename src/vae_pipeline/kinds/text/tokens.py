"""Text to ids of tokens and back, by the tokenizer that a spec holds.

Needs what `runtime` needs, and the library `tokenizers`.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from vae_pipeline.kinds.text.spec import END, PADDING, SPECIAL, UNKNOWN, TextSpec
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]


class Tokens:
    """A tokenizer whose first four ids are those of `spec.SPECIAL`."""

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
        """Ids of each line, without an end; ids that text can't mean (an end, padding) are unknown.

        Raises:
            DataError: what is given isn't a list of texts.
        """
        if isinstance(lines, str) or not all(isinstance(line, str) for line in lines):
            raise DataError(f"{type(lines).__name__} {str(lines)[:60]!r} was given; a list of texts is wanted")
        try:
            found = self.tokenizer.encode_batch(list(lines), add_special_tokens=False)
        except TypeError as error:  # of half a pair of UTF-16, which isn't a letter
            raise DataError("a line holds a lone surrogate, which is no letter: mend the text's encoding") from error
        return [[UNKNOWN if each < len(SPECIAL) else each for each in line.ids] for line in found]

    def observations(self, lines: Sequence[str], places: Sequence[str] | None = None) -> Array:
        """[lines, limit]: ids, the end, padding. `places` say where each line is from.

        Raises:
            DataError: a line has no token, or more than the limit.
        """
        found = self.ids(lines)
        wrong = [index for index, ids in enumerate(found) if not 0 < len(ids) < self.limit]
        if wrong:
            index = wrong[0]
            place = f"line {index + 1}" if places is None else places[index]
            others = f" ({len(wrong) - 1:,} other lines have too few or too many)" if len(wrong) > 1 else ""
            raise DataError(
                f"{place} has {len(found[index])} tokens{others}; this model takes sentences of 1 to "
                f"{self.limit - 1}: {'shorten or split what is longer' if found[index] else 'leave empty lines out'}"
            )
        return padded(found, self.limit)

    def text(self, observations: Iterable[Sequence[int]]) -> list[str]:
        """Texts that rows of ids stand for, each up to its end."""
        return [self.tokenizer.decode(_sentence(row), skip_special_tokens=False) for row in observations]


def lengths(observations: Array) -> Array:
    """Tokens of each sentence that a model is uncertain of: with its end, but for one at the limit, which is sure."""
    return np.asarray((observations != PADDING).sum(axis=1) - (observations[:, -1] == END))


def padded(sentences: Sequence[Sequence[int]], limit: int) -> Array:
    """[sentences, limit]: ids, the end, padding; what is over the limit is cut off."""
    rows = np.full((len(sentences), limit), PADDING, np.int32)
    for row, ids in zip(rows, sentences, strict=True):
        kept = ids[: limit - 1]
        row[: len(kept)] = kept
        row[len(kept)] = END
    return rows


def _sentence(row: Sequence[int]) -> list[int]:
    ids = [int(each) for each in row]
    return ids[: ids.index(END)] if END in ids else ids
