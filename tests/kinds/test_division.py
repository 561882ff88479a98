"""Exact sizes, equal rows and groups: what is never in two parts, and what is said."""

import io
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image
from pydantic import ValidationError
from tests.tables import table_recipe

from vae_pipeline.kinds.division import Fractions, divide, uniform
from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.parts import ImageSource, Part
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.splitting import divide_rows
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe.data import ArraysData, FolderData, TextData
from vae_pipeline.recipe.split import SplitRule
from vae_pipeline.system.errors import DataError

PARTS = ("train", "valid", "test")
IMAGE = np.arange(90) % 60  # which of 60 different ones


def divided(count, groups=None, contents=None, apart=None, valid=0.2, test=0.2, seed=0, elsewhere=(), **rule):
    return divide(
        SplitRule.model_validate(rule),
        Fractions(valid, test),
        seed,
        np.arange(1, count + 1, dtype=np.uint64),
        np.zeros(count, bool) if apart is None else np.asarray(apart),
        None if groups is None else [str(group) for group in groups],
        lambda: np.asarray(contents, np.uint64),
        lambda: np.asarray(elsewhere, np.uint64),
    )


def part_of(division, count):
    """The part's number of each row; -1 of those that are in none."""
    place = np.full(count, -1)
    for number, name in enumerate(PARTS):
        assert (place[division.rows[name]] == -1).all()
        place[division.rows[name]] = number
    return place


numbers = some.lists(some.integers(0, 12), min_size=30, max_size=60)


@given(numbers, some.data(), some.sampled_from(["hash", "exact"]), some.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_no_group_and_no_equal_rows_are_in_two_parts(groups, data, size, seed):
    count = len(groups)
    contents = data.draw(some.lists(some.integers(0, 80), min_size=count, max_size=count))
    apart = data.draw(some.lists(some.booleans().map(bool), min_size=count, max_size=count)) if seed % 2 else None
    division = divided(count, groups, contents, apart, seed=seed, size=size, duplicates="together")
    place = part_of(division, count)
    assert (place >= 0).all() and division.left_out == 0
    for same in (groups, contents):
        for value in set(same):
            assert len(set(place[np.array(same) == value].tolist())) == 1
    if apart is not None:
        assert (place[np.array(apart)] == 2).all()


@given(some.integers(10, 400), some.floats(0.05, 0.4), some.floats(0.05, 0.4), some.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_exact_sizes_are_the_nearest_whole_numbers(count, valid, test, seed):
    place = part_of(divided(count, valid=valid, test=test, seed=seed, size="exact"), count)
    sizes = np.bincount(place, minlength=3)
    for size, share in ((sizes[1], valid), (sizes[2], test)):
        assert abs(size - share * count) <= 0.5 or (size == 1 and share * count >= 0.5)


def test_ten_of_98_are_ten():
    """The hash gave two."""
    assert len(divided(98, valid=0.1, test=0.1, size="exact").rows["valid"]) == 10


def test_groups_of_exact_size_come_near_and_large_ones_stay_in_train():
    sizes = np.random.default_rng(0).integers(5, 60, 40)
    groups = np.repeat(np.arange(41), [*sizes, 900])
    for seed in range(5):
        place = part_of(divided(len(groups), groups, valid=0.1, test=0.1, size="exact", seed=seed), len(groups))
        assert (place[-900:] == 0).all()
        np.testing.assert_allclose(np.bincount(place)[1:] / len(groups), 0.1, atol=60 / 2 / len(groups) + 1e-9)


def test_three_groups_are_one_for_each_part():
    groups = np.repeat([0, 1, 2], 100)
    place = part_of(divided(300, groups, valid=0.05, test=0.05, size="exact"), 300)
    assert sorted(np.bincount(place).tolist()) == [100, 100, 100]


def test_a_part_that_the_hash_leaves_empty_is_filled_and_that_is_said():
    seed = next(seed for seed in range(99) if not (uniform(np.arange(1, 13, dtype=np.uint64), seed) < 0.2).any())
    division = divided(12, seed=seed)
    assert [len(division.rows[name]) for name in PARTS] == [8, 2, 2]
    assert division.notes == ("by the hash a part would have been empty: split.size exact was taken",)


def test_a_size_far_from_the_fraction_is_said():
    found = [divided(98, valid=0.1, test=0.1, seed=seed) for seed in range(30)]
    far = [division for division in found if not 7.35 <= len(division.rows["valid"]) <= 12.25]
    assert 0 < len(far) < 30
    for division in found:
        said = any(note.startswith("valid has") and "split.size exact" in note for note in division.notes)
        assert said is any(division is each for each in far)


def test_of_equal_rows_one_is_kept_and_the_others_counted():
    contents, apart = [1, 1, 2, 3, 3, 3, 4, 5], [False, True, *[False] * 6]
    division = divided(8, contents=contents, apart=apart, elsewhere=[4], duplicates="drop", size="exact")
    kept = np.flatnonzero(part_of(division, 8) >= 0).tolist()
    assert (kept, division.left_out) == ([1, 2, 3, 7], 4)  # an anomaly rather than its equal; none that is in test
    assert 1 in division.rows["test"]


def test_the_rule_of_older_recipes_is_the_hash():
    """The division before there were rules: a row's place in [0, 1) decides."""
    count, place = 500, uniform(np.arange(1, 501, dtype=np.uint64), 3)
    division = divided(count, seed=3)
    np.testing.assert_array_equal(division.rows["test"], np.flatnonzero(place < 0.2))
    np.testing.assert_array_equal(division.rows["valid"], np.flatnonzero((place >= 0.2) & (place < 0.4)))


def prepared(folder, data):
    folder.mkdir(exist_ok=True)
    write(open_source(data, Finder(folder), 0), folder, 0)
    return Prepared.open(folder)


def shared(card):
    return card["duplicates"]["valid_in_train"] + card["duplicates"]["test_in_train"]


@pytest.fixture
def arrays(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 1, 2, 2), np.uint8)[IMAGE]
    np.save(tmp_path / "x.npy", images)
    values = {"kind": "arrays", "shape": (1, 2, 2), "range": (0, 255), "valid": 0.2, "test": 0.2}
    files = {"images": {"path": str(tmp_path / "x.npy")}, "labels": None}
    return lambda **changes: ArraysData.model_validate(values | {"train": files} | changes)


class TestImages:
    def test_equal_ones_in_two_parts_are_said_and_mended(self, tmp_path, arrays):
        card = prepared(tmp_path / "keep", arrays()).card
        assert shared(card) > 5 and any("are in train too: split.duplicates" in note for note in card["notes"])
        assert "split" not in card
        together = prepared(tmp_path / "together", arrays(split={"duplicates": "together"})).card
        assert (shared(together), sum(together["examples"].values())) == (0, 90)
        assert together["split"]["rule"] == {"size": "hash", "duplicates": "together"}
        dropped = prepared(tmp_path / "drop", arrays(split={"duplicates": "drop"})).card
        assert (shared(dropped), dropped["dropped"], sum(dropped["examples"].values())) == (0, {"duplicate": 30}, 60)
        assert not any("are in train too" in note for note in together["notes"] + dropped["notes"])

    def test_what_a_test_file_holds_is_dropped_from_train(self, tmp_path, arrays):
        np.save(tmp_path / "test.npy", np.load(tmp_path / "x.npy")[:7])
        test = {"images": {"path": str(tmp_path / "test.npy")}, "labels": None}
        card = prepared(tmp_path / "out", arrays(test=test, split={"duplicates": "drop"})).card
        assert (card["examples"]["test"], shared(card), card["dropped"]) == (7, 0, {"duplicate": 37})
        with pytest.raises(ValidationError, match="can't move rows of a file of its own"):
            arrays(test=test, split={"duplicates": "together"})

    @pytest.mark.parametrize("ids", [IMAGE // 7, [f"p{at % 11}" for at in IMAGE], IMAGE[:, None] % 9.0])
    def test_ids_group_arrays(self, tmp_path, arrays, ids):
        np.savez(tmp_path / "all.npz", x=np.load(tmp_path / "x.npy"), patient=ids)
        images, groups = ({"path": str(tmp_path / "all.npz"), "key": key} for key in ("x", "patient"))
        train = {"images": images, "labels": None, "groups": groups}
        found = open_source(arrays(train=train, split={"size": "exact"}), Finder(tmp_path), 0)
        parts = [{*np.ravel(ids)[rows]} for rows in divide_rows(found, 0).rows.values()]
        assert sum(map(len, parts)) == len({*np.ravel(ids)}) == len(set.union(*parts)) and all(parts)
        card = prepared(tmp_path / "out", arrays(train=train, split={"size": "exact", "duplicates": "together"})).card
        assert shared(card) == 0
        with pytest.raises(DataError, match=r"group '.*', one of .*, is in train and in test"):
            prepared(tmp_path / "out", arrays(train=train, test=train))
        with pytest.raises(DataError, match="give groups for all parts, or null"):
            open_source(arrays(train=train, test=train | {"groups": None}), Finder(tmp_path), 0)

    @pytest.mark.parametrize(
        ("ids", "message"),
        [
            (np.arange(89), r"groups of shape \[89\] for 90 images: one id an image"),
            (np.arange(90) / 4, "neither texts nor whole numbers"),
            (np.full(90, np.nan), "neither texts nor whole numbers"),
        ],
    )
    def test_what_is_no_id_of_each_image(self, tmp_path, arrays, ids, message):
        np.save(tmp_path / "ids.npy", ids)
        train = arrays().train.model_dump() | {"groups": {"path": str(tmp_path / "ids.npy")}}
        with pytest.raises(DataError, match=message):
            open_source(arrays(train=train), Finder(tmp_path), 0)

    def test_folders_and_patterns_group_pictures(self, tmp_path):
        picture = io.BytesIO()
        Image.new("L", (2, 2)).save(picture, "PNG")
        for patient in range(12):
            for scan in range(3):
                path = tmp_path / "x" / "all" / f"p{patient}" / "left" / f"{patient}_{scan}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(picture.getvalue())
        values = {"kind": "folder", "shape": (1, 2, 2), "resize": "none", "labels": "none", "corrupt": "fail"}
        for groups in ({"folder": 1}, {"folder": 2}, {"pattern": r"(\d+)_\d"}, {"pattern": "^p[0-9]+"}):
            data = FolderData.model_validate(
                values | {"train": str(tmp_path / "x"), "valid": 0.2, "test": 0.2, "split": {"groups": groups}}
            )
            found = open_source(data, Finder(tmp_path), 0)
            assert isinstance(found, ImageSource) and len(set(found.groups["train"])) == 12
            card = prepared(tmp_path / "out", data).card
            assert all(count % 3 == 0 for count in card["examples"].values())
        for groups, message in (({"folder": 3}, "lies in 2 folders"), ({"pattern": "q"}, "has no match of")):
            data = data.model_copy(update={"split": SplitRule.model_validate({"groups": groups})})
            with pytest.raises(DataError, match=message):
                open_source(data, Finder(tmp_path), 0)

    def test_a_group_in_two_files_is_refused(self):
        images = np.zeros((4, 1, 1, 1), np.uint8)
        groups = {"train": ["a", "b", "b", "c"], "test": ["d", "b", "e", "f"]}
        source = ImageSource((1, 1, 1), "uint8", 0, 255, (), Part(images, None), 0.0, Part(images, None), groups=groups)
        with pytest.raises(DataError, match="group 'b', one of 1, is in train and in test"):
            write(source, SimpleNamespace(), 0)


@pytest.mark.parametrize("count", [0, 5, 98, 99])
def test_too_few_to_calibrate_are_said(tmp_path, arrays, count):
    np.save(tmp_path / "valid.npy", np.load(tmp_path / "x.npy")[np.arange(count) % 60])
    valid = {"images": {"path": str(tmp_path / "valid.npy")}, "labels": None} if count else 0.0
    said = prepared(tmp_path / "out", arrays(valid=valid)).calibration_note
    if count in (0, 99):
        assert said is None
    else:
        rate = "0.17" if count == 5 else "0.01"
        assert str(said).startswith(
            f"{count} validation examples calibrate a detector for false-alarm rates from {rate} up"
        )


class TestTables:
    def frame(self):
        rows = np.random.default_rng(0).normal(size=(120, 3)).round(3)
        return pd.DataFrame(rows, columns=["a", "b", "c"]).assign(patient=[f"p{row // 5}" for row in range(120)])

    def recipe(self, root, path, **changes):
        plain = {"label": None, "one_class": False, "columns": {}, "valid": 0.2, "test": 0.2}
        return table_recipe(root, path, **(plain | changes)).data

    def test_a_column_groups_rows_and_isnt_learned(self, root, tmp_path):
        frame = self.frame()
        frame.to_csv(tmp_path / "x.csv", index=False)
        data = self.recipe(root, tmp_path / "x.csv", split={"groups": {"column": "patient"}, "size": "exact"})
        found = prepared(tmp_path / "out", data)
        assert [column.name for column in found.spec.columns] == ["a", "b", "c"] and found.spec.ignored == ("patient",)
        patients = dict(zip(map(tuple, frame[["a", "b"]].astype("float32").to_numpy()), frame.patient, strict=True))
        parts = (found.train, found.valid, found.test)
        sets = [{patients[tuple(row)] for row in part.x[:][:, :2]} for part in parts]
        assert sum(map(len, sets)) == len(set.union(*sets)) == 24
        assert found.card["examples"] == {"train": 70, "valid": 25, "test": 25}
        frame.patient = frame.patient.where(frame.index != 7)
        frame.to_csv(tmp_path / "x.csv", index=False)
        with pytest.raises(DataError, match="row 7 has no value of patient, which groups the rows"):
            open_source(data, Finder(tmp_path), 0)

    def test_equal_rows(self, root, tmp_path):
        pd.concat([self.frame()] * 2).to_csv(tmp_path / "x.csv", index=False)
        for duplicates, rows in (("together", 240), ("drop", 120)):
            split = {"duplicates": duplicates}
            data = self.recipe(root, tmp_path / "x.csv", columns={"patient": "ignored"}, split=split)
            card = prepared(tmp_path / duplicates, data).card
            assert (shared(card), sum(card["examples"].values())) == (0, rows)


class TestText:
    def text(self, path, **changes):
        words = {"kind": "words", "vocabulary": 90, "split": "signs", "lower": True}
        values = {"kind": "text", "column": None, "tokenizer": words, "limit": 9, "long": "truncate"}
        parts = {"train": {"path": str(path)}, "valid": 0.2, "test": 0.2}
        return TextData.model_validate(values | parts | changes)

    def test_equal_words_are_equal_lines(self, tmp_path):
        lines = [f"word{number} sees, word{number % 7}." for number in range(40)]
        (tmp_path / "x").write_text("\n".join([*lines, *(line.upper().replace(",", " ,") for line in lines)]))
        for duplicates, count in (("together", 80), ("drop", 40)):
            card = prepared(tmp_path / duplicates, self.text(tmp_path / "x", split={"duplicates": duplicates})).card
            assert sum(card["examples"].values()) == count
            assert card["dropped"] == ({"duplicate": 40} if count == 40 else {})

    def test_groups_by_column_and_by_pattern(self, tmp_path):
        frame = pd.DataFrame({"text": [f"s{row % 9}: a b{row}" for row in range(90)], "who": np.arange(90) % 9})
        frame.loc[5, "text"] = " "
        frame.to_csv(tmp_path / "x.csv", index=False)
        (tmp_path / "x.txt").write_text("\n".join(frame.text))
        by_column = self.text(tmp_path / "x.csv", column="text", split={"groups": {"column": "who"}})
        by_pattern = self.text(tmp_path / "x.txt", split={"groups": {"pattern": r"^s(\d)"}})
        one, other = (open_source(data, Finder(tmp_path), 0).groups["train"] for data in (by_column, by_pattern))
        assert one == other and len(one) == 89
        own = {"valid": 0.2, "test": {"path": str(tmp_path / "x.txt")}, "split": {"groups": {"pattern": "^s."}}}
        with pytest.raises(DataError, match=r"group 's0', one of 9, is in train and in test"):
            prepared(tmp_path / "out", self.text(tmp_path / "x.txt", **own))
        with pytest.raises(ValidationError, match="take pattern"):
            self.text(tmp_path / "x.txt", split={"groups": {"column": "who"}})
