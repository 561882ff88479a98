"""Sentences, split and written in the one on-disk form: rows of ids; the tokenizer is fitted to the training part."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from vae_pipeline.kinds.division import Division, Fractions, divide, row_hash
from vae_pipeline.kinds.mapped import save_array
from vae_pipeline.kinds.parts import Array, TextSource
from vae_pipeline.kinds.splitting import duplicates, refuse_shared_groups, split_card, told
from vae_pipeline.kinds.store import PARTS
from vae_pipeline.kinds.text.spec import PADDING, SIGNS, SPECIAL, UNKNOWN, TextSpec
from vae_pipeline.kinds.text.tokens import Tokens, padded
from vae_pipeline.recipe import tokenizer as recipe
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import write_json

BYTES = 256
LONG_WORD = re.compile(r"\S{1000}|\s{1000}")


def write_text(source: TextSource, folder: Path, seed: int) -> None:
    """Split `source`, fit its tokenizer to the training part, and write all into `folder`.

    Raises:
        DataError: a part comes out empty, or a sentence is over the limit and the recipe says to fail.
    """
    parts, division = split_text(source, seed)
    tokenizer = fit_tokenizer(source.tokenizer, parts["train"])
    tokens = Tokens(tokenizer, source.limit)
    card: dict[str, Any] = {
        "examples": {},
        "shape": [source.limit],
        "dtype": "int32",
        "tokens": {},
        "unknown": {},
        "longest": {},
        "over_the_limit": {},
        "vocabulary": tokenizer.get_vocab_size(),
        "classes": {},
        "origins": source.origins,
        "dropped": source.dropped | ({"duplicate": division.left_out} if division.left_out else {}),
    }
    hashes: dict[str, Array] = {}
    for name, lines in parts.items():
        found = tokens.ids(lines)
        long = [len(ids) >= source.limit for ids in found]
        if source.long == "fail" and any(long):
            first = long.index(True)
            raise DataError(
                f"sentence {first + 1} of the {name} part has {len(found[first])} tokens, over data.limit "
                f"{source.limit} with its end, and {sum(long)} of {len(long)} have: raise the limit, or set data.long "
                f"to truncate or drop ({lines[first][:60]!r} …)"
            )
        if source.long == "drop":
            found = [ids for ids, over in zip(found, long, strict=True) if not over]
            if any(long):
                reason = "sentence over the limit"
                card["dropped"][reason] = card["dropped"].get(reason, 0) + sum(long)
        if lines and not found:
            raise DataError(f"every sentence of the {name} part is over data.limit {source.limit}: raise it")
        rows = padded(found, source.limit)
        sizes = (rows != PADDING).sum(axis=1, dtype=np.int64)
        save_array(folder / f"{name}.npy", rows)
        if name == "train":
            save_array(folder / f"{name}_sizes.npy", sizes)
        hashes[name] = np.array([row_hash(row.tobytes()) for row in rows], np.uint64)
        card["examples"][name] = len(rows)
        card["tokens"][name] = int(sizes.sum())
        card["unknown"][name] = int((rows == UNKNOWN).sum())
        card["longest"][name] = max(map(len, found), default=0) + 1
        card["over_the_limit"][name] = sum(long)
    if any(isinstance(part, float) and part for part in (source.valid, source.test)) or division.left_out:
        card["split"] = split_card("random", division.rows, source.split)
    card["duplicates"] = duplicates(hashes)
    card["notes"] = [*_notes(card, source.long), *division.notes, *told(card)]
    TextSpec(source.limit, tokenizer.get_vocab_size(), json.loads(tokenizer.to_str())).save(folder / "spec.json")
    write_json(folder / "card.json", card)


def _notes(card: Mapping[str, Any], long: str) -> list[str]:
    """Notes on the training part that a reader of the figures must see."""
    notes = []
    cut, lines = card["over_the_limit"]["train"], card["examples"]["train"]
    if cut and long == "truncate":
        notes.append(f"{cut:,} of {lines:,} sentences of train are cut off at the limit of {card['shape'][0]} tokens")
    unknown, tokens = card["unknown"]["train"], card["tokens"]["train"]
    if unknown:
        notes.append(f"{unknown / tokens:.1%} of the tokens of train are unknown, of which a model says nothing more")
    return notes


def split_text(source: TextSource, seed: int) -> tuple[dict[str, Sequence[str]], Division]:
    """The lines of each part; where one is a fraction, by a hash of the seed and a line's number.

    Lines are equal whose tokens are, before rare ones become unknown and long ones are cut.

    Raises:
        DataError: a part that is wanted comes out empty, or two parts that have files of their own share a group.
    """
    given = {"train": source.train, "valid": source.valid, "test": source.test}
    valid, test = (part if isinstance(part, float | int) else 0.0 for part in (source.valid, source.test))
    own = [line for part in (source.valid, source.test) if not isinstance(part, float | int) for line in part]
    count = len(source.train)
    refuse_shared_groups(source.groups)
    division = divide(
        source.split,
        Fractions(valid, test),
        seed,
        np.arange(1, count + 1, dtype=np.uint64),
        np.zeros(count, bool),
        source.groups.get("train"),
        lambda: _contents(source.tokenizer, source.train),
        lambda: _contents(source.tokenizer, own),
    )
    parts: dict[str, Sequence[str]] = {}
    for name in PARTS:
        part = given[name]
        files = name != "train" and not isinstance(part, float | int)
        parts[name] = part if files else [source.train[index] for index in division.rows[name]]  # type: ignore[assignment]
        if not parts[name] and (name != "valid" or valid):
            raise DataError(
                f"the {name} part is empty: too few sentences ({count}{division.fewer(count).rstrip(',')}) for the "
                "fractions in the recipe; give more, other fractions, or files of their own for data.valid and "
                "data.test"
            )
    return parts, division


def _contents(tokenizer: recipe.Tokenizer, lines: Sequence[str]) -> npt.NDArray[np.uint64]:
    """A hash of each line, equal of equal words."""
    if isinstance(tokenizer, recipe.Words):
        form, split = _form(tokenizer)
        lines = [" ".join(_split_words(form, split, line)) for line in lines]
    return np.array([row_hash(line.encode()) for line in lines], np.uint64)


def fit_tokenizer(tokenizer: recipe.Tokenizer, lines: Sequence[str]) -> Tokenizer:
    """A tokenizer of these lines, whose first ids are those of `SPECIAL`; equal lines give an equal one."""
    match tokenizer:
        case recipe.Words():
            return _words(tokenizer, lines)
        case recipe.BytePairs():
            return _byte_pairs(tokenizer.vocabulary, lines)
        case recipe.Bytes():
            return _byte_pairs(BYTES + len(SPECIAL), ())
        case _:
            assert_never(tokenizer)


def _words(tokenizer: recipe.Words, lines: Sequence[str]) -> Tokenizer:
    """The most frequent words, frequent ones first, those that are as frequent by their letters."""
    form, split = _form(tokenizer)
    counts = Counter(word for line in lines for word in _split_words(form, split, line))
    ranked = sorted((word for word in counts if word not in SPECIAL), key=lambda word: (-counts[word], word))
    if not ranked:
        raise DataError(f"the train part holds no word, only such as {', '.join(counts)}: there is nothing to learn")
    kept = [*SPECIAL, *ranked][: tokenizer.vocabulary]
    fitted = Tokenizer(models.WordLevel({word: index for index, word in enumerate(kept)}, unk_token=SPECIAL[UNKNOWN]))
    fitted.normalizer, fitted.pre_tokenizer = form, split
    return fitted


def _form(tokenizer: recipe.Words) -> tuple[normalizers.Normalizer, pre_tokenizers.PreTokenizer]:
    """The steps before ids: letters get one form (an accent is one however it was typed), and words are parted."""
    form = normalizers.Sequence([normalizers.NFC(), *([normalizers.Lowercase()] if tokenizer.lower else [])])
    signs = pre_tokenizers.Split(Regex(SIGNS), "removed", invert=True)
    return form, pre_tokenizers.WhitespaceSplit() if tokenizer.split == "blanks" else signs


def _split_words(form: normalizers.Normalizer, split: pre_tokenizers.PreTokenizer, line: str) -> list[str]:
    return [word for word, _ in split.pre_tokenize_str(form.normalize_str(line))]


def _byte_pairs(vocabulary: int, lines: Sequence[str]) -> Tokenizer:
    """Source: Sennrich, Haddow and Birch, Neural Machine Translation of Rare Words with Subword Units, 2016."""
    fitted = Tokenizer(models.BPE())
    fitted.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fitted.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    fitted.train_from_iterator((piece for line in lines for piece in _pieces(line)), trainer)
    # The ids stay, but a text that holds the letters `<eos>` means these letters.
    return Tokenizer.from_str(json.dumps({**json.loads(fitted.to_str()), "added_tokens": []}))


def _pieces(line: str) -> Iterator[str]:
    """The line, cut after each thousand letters or blanks in a row: training's time grows with a word's square."""
    start = 0
    for found in LONG_WORD.finditer(line):
        yield line[start : found.end()]
        start = found.end()
    yield line[start:]
