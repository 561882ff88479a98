"""A look at a text of a sentence a line: how its words are parted, how many there are, how long sentences get."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.kinds.text.lines import read_lines
from vae_pipeline.kinds.text.spec import SPECIAL
from vae_pipeline.kinds.text.store import fit_tokenizer
from vae_pipeline.kinds.text.tokens import Tokens
from vae_pipeline.recipe.tokenizer import BytePairs, Bytes, Tokenizer, Words
from vae_pipeline.scaffold.facts import TextFacts
from vae_pipeline.scaffold.looking.found import Found, Places, fractions, require_enough

LOOKED_AT = 10_000  # lines
GLUED = re.compile(r"\w[,;:!?](?=\s|$)")  # a sign that isn't parted from the word before it
MOST_WORDS = 10_000
BYTES, WIDE = 260, 1.2  # ids of bytes, those that are none counted; bytes of a letter on average
KNOWN = 0.8  # of all tokens must be words that occur twice, else bytes are learned
SEPARATORS = {"tabs": "\t", "semicolons": ";", "bars": "|", "commas": ","}
MOST_ALIKE = 0.9  # of all lines
LONG = 98  # per cent of sentences that are taken whole, up to the tokens that a sentence may have:
MOST_TOKENS = 60
MOST_BYTES = 120


def look_at_lines(path: Path, places: Places) -> Found:
    """The sentences of a text.

    Raises:
        DataError: it can't be read as text, or has too few lines.
    """
    read = read_lines(path, None)
    found = look_at_sentences(read.texts)
    data = {"kind": "text", "column": None, **found.data, "train": {"path": places.written(path)}}
    said = [
        *found.said,
        f"{read.empty:,} lines are empty: they are left out" if read.empty else "",
        _as_of_a_table(read.texts[:LOOKED_AT]),
        *require_enough(len(read.texts), "lines", path),
    ]
    return Found(found.facts, data | fractions(len(read.texts)), found.about, [line for line in said if line])


def _as_of_a_table(lines: Sequence[str]) -> str:
    """A remark on lines that nearly all hold the same number of a sign that separates columns; nothing of others."""
    for name, sign in SEPARATORS.items():
        (count, often), *_ = Counter(line.count(sign) for line in lines).most_common(1)
        if count and often > MOST_ALIKE * len(lines):
            return f"lines hold {count} {name} each, as rows of a table do: if they are rows, name the file .csv"
    return ""


def look_at_sentences(texts: Sequence[str]) -> Found:
    """The sentences themselves; the section names no file yet.

    Raises:
        DataError: they hold no word.
    """
    sample = list(texts[:: max(1, len(texts) // LOOKED_AT)])
    tokenizer, vocabulary, told = _tokenizer(sample)
    lengths = np.array([len(ids) for ids in Tokens(fit_tokenizer(tokenizer, sample), 2).ids(sample)])
    longest = MOST_TOKENS if isinstance(tokenizer, Words) else MOST_BYTES
    limit = int(min(longest, max(2, np.percentile(lengths, LONG) + 1)))
    cut = float((lengths >= limit).mean())
    typical, most = int(np.median(lengths)), int(lengths.max())
    said = [
        f"{len(texts):,} lines of text, {typical} tokens in the middle and {most:,} at most",
        told,
        f"{cut:.1%} are longer than {limit - 1} tokens, and are cut there: data.limit changes that" if cut else "",
    ]
    data: dict[str, Any] = {"tokenizer": tokenizer.model_dump(), "limit": limit, "long": "truncate"}
    facts = TextFacts(len(texts), vocabulary, most, typical)
    return Found(facts, data, f"{len(texts):,} sentences", said)


def _tokenizer(lines: list[str]) -> tuple[Tokenizer, int, str]:
    """The tokenizer that suits some lines, the number of its ids, and why."""
    words = sum(len(line.split()) for line in lines)
    glued = sum(len(GLUED.findall(line)) for line in lines)
    split = "signs" if glued > words / 1000 else "blanks"
    every = Words(kind="words", vocabulary=10**9, split=split, lower=False)
    fitted = fit_tokenizer(every, lines)
    counts = np.bincount(np.concatenate([np.array(ids) for ids in Tokens(fitted, 2).ids(lines)]))
    twice = int((counts[len(SPECIAL) :] > 1).sum())
    known = counts[counts > 1].sum() / counts.sum()
    if known < KNOWN or words < 2 * len(lines):
        why = f"{known:.0%} of the words occur twice" if known < KNOWN else "a line is hardly more than a word"
        return _below_words(lines, why)
    vocabulary = max(5, min(MOST_WORDS, twice + len(SPECIAL)))
    parted = "signs are parted from words" if split == "signs" else "words are parted by blanks alone"
    different, kept = counts.size - len(SPECIAL), vocabulary - len(SPECIAL)
    told = f"{different:,} different words, of which the {kept:,} most frequent are known: {parted}"
    return every.model_copy(update={"vocabulary": vocabulary}), vocabulary, told


def _below_words(lines: list[str], why: str) -> tuple[Tokenizer, int, str]:
    """Bytes; of a script whose letters take several of them, pairs too, so that frequent letters are whole."""
    letters = Counter("".join(lines))
    size = sum(count * len(letter.encode()) for letter, count in letters.items()) / letters.total()
    if size < WIDE:
        return Bytes(kind="bytes"), BYTES, f"{why}: bytes are learned instead of words"
    wide = sum(len(letter.encode()) - 1 for letter, count in letters.items() if count > 1)
    vocabulary = min(MOST_WORDS, BYTES + wide)
    told = f"{why}, and a letter takes {size:.1f} bytes: {vocabulary:,} bytes, letters and pieces are learned instead"
    return BytePairs(kind="byte_pairs", vocabulary=vocabulary), vocabulary, told
