"""Rows that are wanted of a stream: those that pandas would pick of the same rows."""

import json

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet
from tests.kinds.table.test_rules import SPEC

from vae_pipeline.kinds.table import drawing, synthetic_files
from vae_pipeline.kinds.table.drawing import PIECE, Drawing
from vae_pipeline.kinds.table.frames import decode
from vae_pipeline.kinds.table.synthetic_files import BESIDE, KEY, write_synthetic
from vae_pipeline.system.errors import DataError

COUNT = 3 * PIECE


@pytest.fixture(scope="module")
def rows():
    draw = np.random.default_rng(1)
    found = np.zeros((COUNT, len(SPEC.columns)), np.float32)
    found[:, 0] = draw.integers(17, 91, COUNT)
    found[:, 1:3] = draw.integers(0, 100, (COUNT, 2)) / 100
    found[:, 4] = draw.choice(3, COUNT, p=[0.6, 0.35, 0.05])
    found[:, 6:8] = draw.integers(0, 2, (COUNT, 2))
    for index in (0, 4, 7, 8):
        found[draw.random(COUNT) < 0.1, index] = np.nan
    return found


@pytest.fixture
def stream(rows):
    place = iter(range(COUNT))

    def given(count):
        start = next(place)
        for _ in range(count - 1):
            next(place)
        return rows[start : start + count]

    return given


def drawn(found, stream, count):
    return decode(np.concatenate(list(found.rows(stream, count))), SPEC.columns, steps=True)


@pytest.fixture(scope="module")
def frame(rows):
    return decode(rows, SPEC.columns, steps=True)


def same(found, wanted):
    pd.testing.assert_frame_equal(found, wanted.reset_index(drop=True), check_dtype=False)


def test_conditions_keep_the_first_rows_that_meet_them(stream, frame):
    found = Drawing(SPEC, ["sex=Male", "age >= 60"])
    same(drawn(found, stream, 500), frame[(frame.sex == "Male") & (frame.age >= 60).fillna(False)][:500])
    last = frame.index[(frame.sex == "Male") & (frame.age >= 60).fillna(False)][499]
    assert found.told() == {"rows": 500, "drawn": last + 1, "where": ["sex=Male", "age >= 60"]}


def test_nothing_more_is_drawn_than_is_asked_for(stream, frame):
    found = Drawing(SPEC)
    same(drawn(found, stream, PIECE + 7), frame[: PIECE + 7])
    assert found.told() == {"rows": PIECE + 7, "drawn": PIECE + 7}
    assert len(stream(1)) == 1


def test_each_class_comes_as_often(stream, frame):
    found = Drawing(SPEC, "age is not missing", "sex")
    rows = drawn(found, stream, 302)
    known = frame[frame.age.notna()]
    quota = {"Female": 101, "Male": 101, "<=50K": 100}
    assert rows.sex.value_counts().to_dict() == quota
    for name, count in quota.items():
        same(rows[rows.sex == name].reset_index(drop=True), known[known.sex == name][:count])
    told = found.told()
    until = known[known.index < told["drawn"]]
    assert told["balance"] == {"column": "sex", "rows": quota, "drawn": until.sex.value_counts()[list(quota)].to_dict()}
    assert until.sex.iloc[-1] == "<=50K"


def test_conditions_leave_classes_to_balance(stream):
    found = Drawing(SPEC, ["sex != <=50K"], "sex")
    assert drawn(found, stream, 10).sex.value_counts().to_dict() == {"Female": 5, "Male": 5}
    assert set(Drawing(SPEC, balance="new").told()["balance"]["rows"]) == {"True", "False"}


def test_checks_are_counted_and_nothing_is_changed(stream, frame):
    checks = ["net <= total net", "unique(net, total net)", "age > 30"]
    found = Drawing(SPEC, checks=checks)
    rows = drawn(found, stream, 6000)
    same(rows, frame[:6000])
    assert found.told()["broken"] == {
        checks[0]: (rows.net > rows["total net"]).sum(),
        checks[1]: rows.duplicated(["net", "total net"]).sum(),
        checks[2]: (rows.age <= 30).sum(),
    }
    assert found.told()["checked"] == 6000 and found.told()["only_valid"] is False


def test_only_valid_rows_are_kept_where_that_is_asked(stream, frame):
    checks = ["unique(net, total net)", "net <= total net"]
    found = Drawing(SPEC, "sex=Female", checks=checks, only_valid=True)
    rows = drawn(found, stream, 900)
    women = frame[frame.sex == "Female"]
    ordered = women[women.net <= women["total net"]]
    same(rows, ordered.drop_duplicates(["net", "total net"])[:900])
    told = found.told()
    seen = women[women.index < told["drawn"]]
    assert told["checked"] == len(seen) and told["only_valid"] is True
    assert told["broken"][checks[1]] == (seen.net > seen["total net"]).sum()
    assert told["checked"] - sum(told["broken"].values()) == 900


def test_too_rare_rows_end_the_drawing(stream, monkeypatch):
    monkeypatch.setattr(drawing, "PATIENCE", 5000)
    with pytest.raises(
        DataError, match=r"^0 of 8,192 drawn rows meet net > 1, and drawing stops .* does: ask for what"
    ):
        drawn(Drawing(SPEC, "net > 1"), stream, 1)


def test_what_no_drawn_row_meets_ends_the_drawing_soon(stream, monkeypatch):
    monkeypatch.setattr(drawing, "HOPELESS", 2 * PIECE)
    with pytest.raises(DataError, match=r"^0 of 8,192 drawn rows meet net > 1, and drawing stops"):
        drawn(Drawing(SPEC, "net > 1"), stream, 1)
    assert len(drawn(Drawing(SPEC, "age > 80"), stream, 5)) == 5


def test_as_many_as_there_were_may_be_asked_for(rows, monkeypatch):
    monkeypatch.setattr(drawing, "PATIENCE", PIECE)
    monkeypatch.setattr(drawing, "RAREST", 5)
    with pytest.raises(DataError, match=r"ask for [\d,]+ rows, or ask for what is less rare") as told:
        drawn(Drawing(SPEC, balance="sex"), lambda _: rows[:PIECE], 3000)
    most = int(str(told.value).split("ask for ")[1].split(" rows")[0].replace(",", ""))
    assert most == 3 * (rows[:PIECE, 4] == 2).sum()
    assert len(drawn(Drawing(SPEC, balance="sex"), lambda _: rows[:PIECE], most)) == most


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"balance": "age"}, "age is a number, from 17 to 90 in training rows; a column to balance is a category"),
        ({"balance": "sexx"}, "there is no column 'sexx': did you mean 'sex'"),
        ({"balance": "sex", "where": "sex is missing"}, "the conditions leave no value of sex"),
        ({"only_valid": True}, "no check was given"),
        ({"where": ["age>80", "age<20"]}, "no value of age meets age>80 and age<20: it is a number, from 17 to 90"),
    ],
)
def test_what_can_not_be_drawn_is_told(given, told):
    with pytest.raises(DataError, match=told):
        Drawing(SPEC, **given)


@pytest.mark.parametrize(("balance", "count", "least"), [(None, 0, 1), ("sex", 2, 3)])
def test_fewer_rows_than_classes_are_refused(balance, count, least, stream):
    with pytest.raises(DataError, match=f"{count} rows were asked for; wanted {least} or more"):
        drawn(Drawing(SPEC, balance=balance), stream, count)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_pieces_are_written_as_the_whole(suffix, rows, tmp_path, monkeypatch):
    """A gap, a class or a fraction that one piece alone has makes its file no other."""
    monkeypatch.setattr(synthetic_files, "GROUP", 64)
    some = rows[:300].copy()
    some[:100, 0] = np.nan
    some[100:200, [0, 4, 7]] = [20, 1, 1]
    whole, parted = tmp_path / f"whole{suffix}", tmp_path / f"parted{suffix}"
    write_synthetic(whole, [some], SPEC.columns, lambda: {"seed": 7})
    write_synthetic(parted, np.split(some, [1, 50, 100, 180]), SPEC.columns, lambda: {"seed": 7})
    if suffix == ".csv":
        assert whole.read_bytes() == parted.read_bytes()
        assert json.loads((tmp_path / f"parted.csv{BESIDE}").read_text()) == {"synthetic": True, "seed": 7}
        return
    file = parquet.ParquetFile(parted)
    assert file.num_row_groups == 3 and parquet.read_table(whole).schema == file.schema_arrow
    assert json.loads(file.metadata.metadata[KEY.encode()]) == {"synthetic": True, "seed": 7}
    pd.testing.assert_frame_equal(pd.read_parquet(parted), pd.read_parquet(whole))
    read = pd.read_parquet(parted)
    assert read.age.dtype == "Int64" and str(read.start.dt.tz) == "UTC"


def test_a_drawing_that_fails_leaves_the_file_as_it_was(rows, tmp_path):
    def pieces():
        yield rows[:10]
        raise DataError("too rare")

    for name in ("a.csv", "a.parquet"):
        (tmp_path / name).write_text("before")
        with pytest.raises(DataError, match="too rare"):
            write_synthetic(tmp_path / name, pieces(), SPEC.columns, dict)
        assert (tmp_path / name).read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2
