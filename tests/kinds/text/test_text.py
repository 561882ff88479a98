"""Sentences from files to rows of ids, and what is wrong with some."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.spec import TextSpec, load_spec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.text.lines import read_lines
from vae_pipeline.kinds.text.store import fit_tokenizer
from vae_pipeline.kinds.text.tokens import Tokens, lengths, padded
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import TextData
from vae_pipeline.recipe.tokenizer import BytePairs, Bytes, Words
from vae_pipeline.system.errors import DataError

WORDS = {"kind": "words", "vocabulary": 50, "split": "blanks", "lower": False}
LINES = [
    f"the {animal} sees the {other} ." for animal in ["cat", "dog", "fox"] for other in ["cat", "dog", "fox", "cow"]
]


def section(path, **changes):
    values = {
        "kind": "text",
        "column": None,
        "tokenizer": WORDS,
        "limit": 10,
        "long": "fail",
        "train": {"path": str(path)},
        "valid": 0.2,
        "test": 0.3,
    }
    return TextData.model_validate(values | changes)


def prepare(path, **changes):
    folder = path.parent / "prepared"
    folder.mkdir(exist_ok=True)
    write(open_source(section(path, **changes), Finder(folder), 0), folder, 0)
    return Prepared.open(folder)


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(LINES) + "\n")
    return path


def test_rows_are_ids_an_end_and_padding(lines):
    prepared = prepare(lines)
    spec = prepared.spec
    assert isinstance(spec, TextSpec) and spec.event_shape == (10,) and load_spec(prepared.folder / "spec.json") == spec
    tokens = Tokens.of(spec)
    seen = [text for part in (prepared.train, prepared.valid, prepared.test) for text in tokens.text(part.x[:])]
    unknown = prepared.card["unknown"]
    assert sum(unknown.values()) == " ".join(seen).split().count("<unk>")
    assert len(seen) == len(LINES) and set(tokens.text(prepared.train.x[:])) <= set(LINES)
    assert (prepared.train.sizes == 7).all() and prepared.test.sizes is None
    assert prepared.card["tokens"]["train"] == 7 * len(prepared.train)
    assert prepared.train.x[0].tolist()[6:] == [spec.end, 0, 0, 0]


def test_again_it_has_the_same_bytes(lines):
    first = prepare(lines).digest()
    assert prepare(lines).digest() == first


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_its_own_for_each_part_and_gzip(tmp_path, lines, packed):
    for name in ("valid", "test"):
        content = b"the cow sees the zebra .\r\n"
        (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    prepared = prepare(lines, valid={"path": str(tmp_path / "valid")}, test={"path": str(tmp_path / "test")})
    assert len(prepared.train) == len(LINES)
    assert Tokens.of(prepared.spec).text(prepared.test.x[:]) == ["the cow sees the <unk> ."]
    assert prepared.card["unknown"] == {"train": 0, "valid": 1, "test": 1}


def test_a_column_of_a_table(tmp_path):
    frame = pd.DataFrame({"id": range(13), "text": [*LINES, None]})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    prepared = prepare(tmp_path / "rows.csv", column="text")
    assert sum(prepared.card["examples"].values()) == 12 and prepared.card["dropped"] == {"empty line": 1}
    frame.to_parquet(tmp_path / "rows.parquet")
    assert sum(prepare(tmp_path / "rows.parquet", column="text").card["examples"].values()) == 12
    with pytest.raises(DataError, match="has no column story; it has id, text"):
        prepare(tmp_path / "rows.csv", column="story")


def test_texts_of_a_table_are_what_they_say(tmp_path):
    texts = ["NA", "null", "", "nan", "a, b"]
    pd.DataFrame({"id": range(15), "text": [f"{text}" for text in texts for _ in range(3)]}).to_csv(
        tmp_path / "rows.csv", index=False
    )
    found = read_lines(tmp_path / "rows.csv", "text")
    assert found.texts == [text for text in texts if text for _ in range(3)] and found.empty == 3
    assert found.numbers == [1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15]


def test_lines_end_where_lines_end(tmp_path):
    (tmp_path / "x").write_text("one\u2028line\x0b\x85\n\nthird\r\n")
    found = read_lines(tmp_path / "x", None)
    assert (found.texts, found.numbers, found.empty) == (["one\u2028line\x0b\x85", "third"], [1, 3], 1)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_ends_of_lines_of_any_system(tmp_path, encoding, end):
    (tmp_path / "x").write_bytes(end.join(["der Hund läuft", "", "猫"]).encode(encoding))
    found = read_lines(tmp_path / "x", None)
    assert (found.texts, found.numbers, found.empty) == (["der Hund läuft", "猫"], [1, 3], 1)


def test_a_long_word_is_read_in_a_time_that_grows_with_its_length(tmp_path):
    tokenizer = fit_tokenizer(BytePairs(kind="byte_pairs", vocabulary=300), [*LINES, "ab" * 200_000])  # or minutes
    assert len(Tokens(tokenizer, 10).ids(["ab" * 200_000])[0]) <= 200_000


def test_the_length_of_a_sentence_leaves_out_the_end_that_is_sure():
    rows = padded([[5], [5, 6, 7], [5, 6, 7, 8, 9]], 4)
    assert lengths(rows).tolist() == [2, 3, 3]


class TestBadInput:
    def test_empty_lines_are_left_out_and_counted(self, tmp_path):
        (tmp_path / "x").write_text("\n\n".join(LINES) + "\n  \n")
        prepared = prepare(tmp_path / "x")
        assert sum(prepared.card["examples"].values()) == 12 and prepared.card["dropped"] == {"empty line": 12}

    @pytest.mark.parametrize("content", ["", "\n\n \n"])
    def test_a_file_without_a_sentence(self, tmp_path, content):
        (tmp_path / "x").write_text(content)
        with pytest.raises(DataError, match="holds no sentence: one a line is wanted"):
            prepare(tmp_path / "x")

    def test_invalid_utf_8_is_named_by_line_and_byte(self, tmp_path):
        (tmp_path / "x").write_bytes("ein Satz\nschön\n".encode("latin-1"))
        with pytest.raises(DataError, match=r"line 2 of .* isn't UTF-8 \(byte 4 of it is 0xf6\): convert the file"):
            prepare(tmp_path / "x")

    @pytest.mark.parametrize(
        ("name", "content", "column", "message"),
        [
            ("x.csv", b"text,stars\nHello, world,3\n", "text", "does a text hold ',' without quotes around it"),
            ("x.csv", b"text\nHello, world\n", "text", "does a text hold ',' without quotes around it"),
            ("x.csv", b"text\nHello\n", None, "is a table: say which column holds the sentences"),
            ("x.txt", b"Hello\n", "text", "is no table, and so has no column text"),
            ("x.txt", b"\x93NUMPY\x01\x00", None, "is an array: a text of a sentence a line is wanted"),
            ("x.txt", "the dog\n".encode("utf-16-le"), None, "line 1 of .* holds a NUL, .* UTF-16 without a mark"),
            ("x.txt", b"one\ntwo\0\n", None, "line 2 of .* holds a NUL"),
            ("x.txt", b"\xff\xfea", None, "has the mark of UTF-16-LE and isn't it"),
            ("x.txt", b"a\xed\xa0\x80b", None, "line 1 of .* isn't UTF-8"),
            ("x.gz", gzip.compress(b"Hello" * 99)[:-9], None, "can't read .*ended before"),
        ],
        ids=[
            "comma",
            "comma in one column",
            "no column",
            "no table",
            "an array",
            "UTF-16",
            "NUL",
            "half a letter",
            "lone surrogate",
            "cut short",
        ],
    )
    def test_what_holds_no_lines(self, tmp_path, name, content, column, message):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_lines(tmp_path / name, column)

    def test_a_file_of_unknown_words_alone(self, tmp_path):
        (tmp_path / "x").write_text("<unk>\n" * 40)
        with pytest.raises(DataError, match="the train part holds no word, only such as <unk>"):
            prepare(tmp_path / "x")

    def test_a_lone_surrogate(self):
        with pytest.raises(DataError, match="holds a lone surrogate"):
            Tokens(fit_tokenizer(Bytes(kind="bytes"), []), 10).ids(["a\ud800"])

    def test_a_folder_and_nothing(self, tmp_path):
        with pytest.raises(DataError, match="is a folder: a file of a sentence a line is wanted"):
            read_lines(tmp_path, None)
        with pytest.raises(DataError, match=r"can't read .*: no such file"):
            read_lines(tmp_path / "x", None)

    def test_a_file_of_one_line(self, tmp_path):
        (tmp_path / "x").write_text("only one\n")
        with pytest.raises(DataError, match=r"the (train|valid|test) part is empty: too few sentences \(1\)"):
            prepare(tmp_path / "x")
        alone = {"path": str(tmp_path / "x")}
        assert len(prepare(tmp_path / "x", valid=0.0, test=alone).train) == 1

    @pytest.mark.parametrize("long", ["truncate", "drop", "fail"])
    def test_a_line_of_ten_thousand_tokens(self, tmp_path, lines, long):
        (tmp_path / "test").write_text("the " * 10_000 + "\nthe cat .\n")
        test = {"path": str(tmp_path / "test")}
        if long == "fail":
            wanted = "sentence 1 of the test part has 10000 tokens, over data.limit 10 with its end, and 1 of 2 have"
            with pytest.raises(DataError, match=wanted):
                prepare(lines, test=test)
            return
        prepared = prepare(lines, test=test, long=long)
        assert prepared.card["over_the_limit"] == {"train": 0, "valid": 0, "test": 1}
        texts = Tokens.of(prepared.spec).text(prepared.test.x[:])
        assert texts == ([" ".join(["the"] * 9), "the cat ."] if long == "truncate" else ["the cat ."])
        assert prepared.card["dropped"] == ({} if long == "truncate" else {"sentence over the limit": 1})

    def test_a_part_of_long_lines_alone(self, tmp_path, lines):
        (tmp_path / "test").write_text("the " * 50)
        with pytest.raises(DataError, match=r"every sentence of the test part is over data\.limit 10: raise it"):
            prepare(lines, test={"path": str(tmp_path / "test")}, long="drop")

    def test_what_a_bundle_is_given(self, lines):
        tokens = Tokens.of(prepare(lines).spec)
        with pytest.raises(DataError, match=r"line 2 has 12 tokens; this model takes sentences of 1 to 9: shorten"):
            tokens.observations(["the cat", "the " * 12])
        with pytest.raises(DataError, match=r"row 4 of x has 12 tokens \(2 other lines have too few or too many\)"):
            tokens.observations(["the cat", "the " * 12, "", "the " * 11], ["a", "row 4 of x", "c", "d"])
        for wrong in ("the cat", [3], ["the", None]):
            with pytest.raises(DataError, match="was given; a list of texts is wanted"):
                tokens.ids(wrong)
        with pytest.raises(DataError, match=r"line 1 has 0 tokens.*leave empty lines out"):
            tokens.observations(["", "the cat"])
        with pytest.raises(DataError, match="the spec's tokenizer can't be read"):
            Tokens.of(TextSpec(5, 9, {"version": "none"}))

    @pytest.mark.parametrize(
        "changes",
        [
            {"limit": 1},
            {"vocabulary": 4},
            {"end": 3},
            {"dtype": "int64"},
            {"tokenizer": []},
            {"classes": ["a"]},
            {"x": 1},
        ],
        ids=str,
    )
    def test_a_spec_that_was_altered(self, tmp_path, lines, changes):
        values = prepare(lines).spec.to_dict() | changes
        (tmp_path / "spec.json").write_text(json.dumps(values))
        with pytest.raises(DataError, match="not a data spec"):
            load_spec(tmp_path / "spec.json")


class TestTokenizers:
    TEXTS = some.lists(some.text(some.characters(codec="utf-8", exclude_characters="\n")), min_size=1, max_size=5)

    KINDS = tuple(
        Tokens(fit_tokenizer(kind, ["ein alter Löwe", "the old cat sees the old dog"] * 3), 100)
        for kind in (Bytes(kind="bytes"), BytePairs(kind="byte_pairs", vocabulary=300))
    )

    @settings(max_examples=50, deadline=None)
    @given(some.sampled_from(KINDS), TEXTS)
    def test_bytes_and_their_pairs_give_back_any_text(self, fitted, texts):
        assert fitted.text(fitted.ids(texts)) == texts

    def test_bytes_have_260_ids_and_pairs_more(self):
        assert [each.tokenizer.get_vocab_size() > 260 for each in self.KINDS] == [False, True]

    def test_the_letters_of_an_end_are_no_end(self):
        for tokenizer in (Bytes(kind="bytes"), Words.model_validate(WORDS)):
            fitted = Tokens(fit_tokenizer(tokenizer, ["a <eos> b <pad>", "<unk>"]), 100)
            assert all(each >= 3 for each in fitted.ids(["a <eos> b <pad> <bos>"])[0])

    def test_words_are_ranked_by_frequency_and_capped(self):
        words = Words(kind="words", vocabulary=7, split="signs", lower=True)
        fitted = Tokens(fit_tokenizer(words, ["B a, a", "b. a"]), 100)
        assert fitted.tokenizer.get_vocab() == {
            "<pad>": 0, "<bos>": 1, "<eos>": 2, "<unk>": 3, "a": 4, "b": 5, ",": 6
        }  # fmt: skip
        assert fitted.ids(["A b. C"]) == [[4, 5, 3, 3]]
        assert fitted.text([[4, 5, 3, 2, 0]]) == ["a b <unk>"]

    def test_a_word_is_one_however_it_was_typed(self):
        """Accents, which Unicode writes in two ways, and the two small sigmas of one capital are tried."""
        words = Words(kind="words", vocabulary=50, split="signs", lower=True)
        fitted = Tokens(fit_tokenizer(words, ["Ο ΔΡΌΜΟΣ ΕΊΝΑΙ ΚΑΛΌΣ", "café"]), 100)
        assert 3 not in fitted.ids(["Ο ΔΡΌΜΟΣ ΕΊΝΑΙ ΚΑΛΌΣ"])[0]
        assert fitted.ids(["cafe\u0301"]) == fitted.ids(["café"]) != [[3]]

    @pytest.mark.parametrize("split", ["blanks", "signs"])
    def test_what_was_written_for_an_unknown_word_is_one(self, split):
        words = Words(kind="words", vocabulary=50, split=split, lower=False)
        fitted = Tokens(fit_tokenizer(words, ["it 's a < b ."]), 100)
        (ids,) = fitted.ids(["it 's <unk> ."])
        assert ids.count(3) == 1 and fitted.ids(fitted.text([ids])) == [ids]

    def test_equal_lines_give_an_equal_one(self):
        for tokenizer in (BytePairs(kind="byte_pairs", vocabulary=290), Words.model_validate(WORDS)):
            one, other = (fit_tokenizer(tokenizer, LINES).to_str() for _ in range(2))
            assert one == other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"likelihood": {"kind": "bernoulli"}}}, "sentences need an encoder and a decoder of kind recurrent"),
        ({"model": {"prior": {"kind": "vamp", "components": 3}}}, "a vamp prior"),
        (
            {"model": {"likelihood": {"kind": "autoregressive", "output": {"kind": "adaptive", "cutoffs": [9, 100]}}}},
            r"cutoffs are \[9, 100\], but data.tokenizer.vocabulary is 100: set them below",
        ),
        ({"sampler": "auto"}, "sampler: auto compares features of images; for sentences"),
        ({"detection": {"score": "rate", "draws": 1, "collected": None}}, "set detection to null"),
        ({"data": {"kind": "digits", "valid": 0.1, "test": 0.1}}, "are for sentences; data.kind is digits"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_go_together_is_said(root, changes, message):
    values = Recipe.load(root / "pipeline" / "sentences.yaml").model_dump(mode="json")
    for name, change in changes.items():
        own = isinstance(change, dict) and name == "model"
        values[name] = {**values[name], **change} if own else change
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate(values)


def test_sentences_are_drawn_from_the_seed(root):
    data = Recipe.load(root / "pipeline" / "sentences.yaml").data
    one, again, other = (open_source(data, Finder(root), seed).train for seed in (0, 0, 1))
    assert one == again != other
    assert np.mean([len(line.split()) for line in one]) == pytest.approx(2 * 2.5 + 1 + 1.5 + 1, abs=0.15)


FORMS = [
    Words(kind="words", vocabulary=20, split="blanks", lower=False),
    Words(kind="words", vocabulary=20, split="signs", lower=True),
    BytePairs(kind="byte_pairs", vocabulary=300),
    Bytes(kind="bytes"),
]


@pytest.mark.parametrize("form", FORMS, ids=range(4))
def test_a_tokenizer_is_of_the_parts_that_are_known(form):
    """A normaliser, a pattern or a decoder of another's may take for ever on a line, and can't be stopped."""
    fitted = fit_tokenizer(form, ["the cat sat", "the dog"])
    values = TextSpec(9, fitted.get_vocab_size(), json.loads(fitted.to_str())).to_dict()
    assert TextSpec.from_dict(values).to_dict() == values
    for part, other in [
        ("normalizer", {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 999}),
        ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Removed", "invert": False}),
        ("decoder", {"type": "Replace", "pattern": {"String": " "}, "content": "x" * 999}),
        ("added_tokens", [{"id": 0, "content": "the"}]),
        ("model", {**values["tokenizer"]["model"], "dropout": 0.5}),
        ("model", {**values["tokenizer"]["model"], "vocab": {"the": 10**9}}),
        ("model", None),
    ]:
        with pytest.raises(DataError, match="the tokenizer"):
            TextSpec.from_dict({**values, "tokenizer": {**values["tokenizer"], part: other}})
