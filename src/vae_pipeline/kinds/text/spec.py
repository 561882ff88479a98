"""TextSpec: how sentences become ids and back, and which ids mean what, as a model must know it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.stored import StoredSpec
from vae_pipeline.system.errors import DataError

PADDING, START, END, UNKNOWN = range(4)
"""Ids that are no word: what fills a row after the end, what a decoder is given first, the end, any unknown word."""
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
"""The first entries of every vocabulary, by their ids."""
CELLS = 2**24
"""Log-probabilities of ids that are computed at a time where no gradient is wanted, so that memory is bounded."""
Array = npt.NDArray[Any]
LONGEST = 2**20
SIGNS = rf"{SPECIAL[UNKNOWN]}|\w+|[^\w\s]+"
"""A word or signs; what a model wrote for an unknown word is read as one."""
_BYTE_LEVEL = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
TOKENIZER: dict[str, tuple[Any, ...]] = {
    "version": ("1.0",),
    "truncation": (None,),
    "padding": (None,),
    "added_tokens": ([],),
    "post_processor": (None,),
    "normalizer": (
        None,
        {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
        {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]},
    ),
    "pre_tokenizer": (
        {"type": "WhitespaceSplit"},
        {"type": "Split", "pattern": {"Regex": SIGNS}, "behavior": "Removed", "invert": True},
        {**_BYTE_LEVEL, "add_prefix_space": False},
    ),
    "decoder": (None, {**_BYTE_LEVEL, "add_prefix_space": True}),
    "model": (
        {"type": "WordLevel", "unk_token": SPECIAL[UNKNOWN]},
        {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
        },
    ),
}
"""Kinds that each part of a tokenizer may be of, as the library `tokenizers` writes it; a model without its words."""


@dataclass(frozen=True)
class TextSpec(StoredSpec):
    """Sentences as they lie on disk: [limit] of int32, the ids of tokens, then `end`, then `padding`."""

    limit: int
    """The most tokens of a sentence, its `end` counted."""
    vocabulary: int
    """The number of ids."""
    tokenizer: dict[str, Any]
    """A tokenizer of the library `tokenizers`, as its JSON."""
    padding: int = PADDING
    start: int = START
    """The id that a decoder is given before the first token; it occurs in no sentence."""
    end: int = END
    unknown: int = UNKNOWN
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
    def binary(self) -> bool:
        """True if two values alone occur."""
        return False

    @property
    def absent(self) -> tuple[str, ...]:
        """Texts that stand for a missing value: none can be."""
        return ()

    @property
    def suffix(self) -> str:
        """The suffix of the files in which a person looks at observations."""
        return ".txt"

    @property
    def stepwise(self) -> bool:
        """True if an observation is made one value after the other, each given those before it."""
        return True

    @property
    def largest(self) -> int:
        """The most numbers that a graph computes of one observation in one place."""
        return self.limit * self.vocabulary

    @property
    def unit(self) -> float:
        """The width relative to which differences of ids are taken."""
        return 1.0

    def checked(self, x: Array, first: int, centred: bool) -> Array:  # noqa: ARG002
        """Rows of ids, then one end, then padding; they are counted from `first`.

        Raises:
            DataError: they hold what can't occur.
        """
        with np.errstate(invalid="ignore"):  # of NaN, which is refused
            rows = np.ascontiguousarray(x.astype(np.int32))
        if not np.array_equal(rows, x) or rows.min() < 0 or rows.max() >= self.vocabulary:
            raise DataError(
                f"observations that aren't ids were given; whole numbers from 0 to {self.vocabulary - 1} are wanted"
            )
        ends = rows == self.end
        after = np.arange(self.limit) > ends.argmax(axis=1)[:, None]
        wrong = (
            (ends.sum(axis=1) != 1) | ((rows == self.padding) != after).any(axis=1) | (rows == self.start).any(axis=1)
        )
        if wrong.any():
            raise DataError(
                f"row {first + int(wrong.argmax())} isn't a sentence: ids from {self.unknown} on are wanted, then one "
                f"{self.end}, then {self.padding} up to {self.limit} in all"
            )
        return rows

    def metadata(self) -> dict[str, Any]:
        """A graph's metadata on raw values."""
        names = ("limit", "vocabulary", "padding", "start", "end", "unknown")
        return {"vae.tokens": {name: getattr(self, name) for name in names}}

    def _validate(self) -> None:
        if not 2 <= self.limit <= LONGEST or self.vocabulary <= len(SPECIAL):
            raise ValueError(
                f"limit is {self.limit} and vocabulary {self.vocabulary}; wanted 2 to {LONGEST:,}, 5 or more"
            )
        if (self.padding, self.start, self.end, self.unknown) != (PADDING, START, END, UNKNOWN):
            raise ValueError("padding, start, end and unknown must be 0, 1, 2 and 3")
        if self.dtype != "int32" or self.kind != "text" or self.classes:
            raise ValueError(f"dtype is {self.dtype!r}, classes {list(self.classes)}; wanted int32 and none")
        _require_known(self.tokenizer, self.vocabulary)


def _require_known(tokenizer: dict[str, Any], vocabulary: int) -> None:
    """Refuse a tokenizer of other parts than `prepare` fits: a normaliser or a pattern may be made to take for ever."""
    model = tokenizer.get("model")
    ids = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(ids, dict) or sorted(map(str, ids.values())) != sorted(
        map(str, range(vocabulary))
    ):  # fmt: skip
        raise ValueError(f"the tokenizer hasn't the ids 0 to {vocabulary - 1}, each once")
    known = {name: value for name, value in model.items() if name not in ("vocab", "merges")}
    parts = {name: value for name, value in tokenizer.items() if name != "model"}
    for name, value in {**parts, "model": known}.items():
        if value not in TOKENIZER.get(name, ()):
            raise ValueError(f"the tokenizer's {name} is {str(value)[:60]}, which no tokenizer of ours has")
