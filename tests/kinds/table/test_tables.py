import gzip
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from tests.tables import mixed_frame, table_recipe

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.table import files as table_files
from vae_pipeline.kinds.table import store as table_store
from vae_pipeline.kinds.table.store import split_table
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe import Recipe
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import sha256_of


def prepare(root, path, seed=0, **data):
    folder = path.parent / "prepared"
    folder.mkdir()
    write(open_source(table_recipe(root, path, **data).data, Finder(folder), seed), folder, seed)
    return Prepared.open(folder)


@pytest.fixture
def csv(tmp_path):
    mixed_frame().to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def test_columns_are_what_their_values_look_like(root, csv):
    prepared, frame = prepare(root, csv), mixed_frame()
    kinds = {column.name: column.kind for column in prepared.spec.columns}
    assert kinds == {"amount": "number", "balance": "number", "country": "category", "new": "boolean", "when": "date"}
    missing = {column.name for column in prepared.spec.columns if column.missing}
    assert missing == {"balance", "country"}
    assert prepared.spec.columns[2].values == ("DK", "NO", "SE")
    assert prepared.spec.ignored == ("id", "fraud")
    assert prepared.spec.classes == ("normal", "anomaly")
    rows = np.concatenate([prepared.train.x[:], prepared.valid.x[:], prepared.test.x[:]])
    assert len(rows) == len(frame)
    order, wanted = np.argsort(rows[:, 0]), frame.sort_values("amount")
    np.testing.assert_allclose(rows[order, 0], wanted.amount.astype("float32"))
    np.testing.assert_array_equal(np.isnan(rows[order, 1]), wanted.balance.isna())
    np.testing.assert_array_equal(rows[order, 3], wanted.new)
    codes = wanted.country.map({"DK": 0, "NO": 1, "SE": 2}).astype(float)
    np.testing.assert_array_equal(rows[order, 2], codes)
    days = (wanted.when - pd.Timestamp("1970-01-01")).dt.days
    np.testing.assert_array_equal(rows[order, 4], days)


def test_one_class_keeps_every_anomaly_for_the_test_part(root, csv):
    prepared, frame = prepare(root, csv), mixed_frame()
    assert prepared.train.labels.sum() == prepared.valid.labels.sum() == 0
    assert prepared.test.labels.sum() == frame.fraud.sum()
    normal = (frame.fraud == 0).sum()
    assert (prepared.test.labels == 0).sum() == pytest.approx(0.4 * normal, abs=30)
    amounts = set(np.concatenate([prepared.train.x[:], prepared.valid.x[:]])[:, 0].tolist())
    assert not amounts & set(frame.amount[frame.fraud == 1].astype("float32").tolist())


def test_a_contaminated_split_is_of_all_rows(root, csv):
    prepared = prepare(root, csv, one_class=False)
    assert prepared.train.labels.sum() > 5 and prepared.test.labels.sum() > 5
    assert prepared.card["split"]["kind"] == "random"


def test_the_split_is_that_of_its_seed_and_no_row_moves_when_others_are_appended(root, tmp_path):
    parts = []
    for count in (400, 500):
        mixed_frame(500)[:count].to_csv(tmp_path / "rows.csv", index=False)
        source = open_source(table_recipe(root, tmp_path / "rows.csv").data, Finder(tmp_path), 0)
        parts.append(split_table(source, 0).rows)
    assert not np.array_equal(split_table(source, 1).rows["train"], parts[1]["train"])
    for name, indices in parts[1].items():
        np.testing.assert_array_equal(indices[indices < 400], parts[0][name])


def test_the_card_says_how_it_was_split_and_what_is_in_it(root, csv):
    card = prepare(root, csv).card
    assert set(card["split"]["indices"]) == {"train", "valid", "test"}
    assert card["origins"] == {str(csv): f"sha256:{sha256_of(csv)}"}
    assert card["columns"]["balance"]["missing"] > 0
    assert (
        sum(card["columns"]["country"]["counts"].values()) + card["columns"]["country"]["missing"]
        == (card["examples"]["train"])
    )
    json.dumps(card, allow_nan=False)


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.parquet"])
def test_other_files_give_the_same(root, csv, tmp_path, name):
    (tmp_path / "other").mkdir()
    path = tmp_path / "other" / name
    if name.endswith("gz"):
        path.write_bytes(gzip.compress(csv.read_bytes()))
    else:
        mixed_frame().to_parquet(path)
    one, other = prepare(root, csv), prepare(root, path)
    assert one.spec.columns == other.spec.columns and one.spec.ignored == other.spec.ignored
    for part in ("train", "valid", "test"):
        np.testing.assert_array_equal(getattr(one, part).x[:], getattr(other, part).x[:])


def test_adbenchs_form(root, tmp_path):
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(60, 3)), np.arange(60) % 10 == 0
    np.savez(tmp_path / "set.npz", X=x, y=y.astype(int))
    prepared = prepare(root, tmp_path / "set.npz", label={"column": "y", "normal": "0"}, columns={})
    assert [column.name for column in prepared.spec.columns] == ["x0", "x1", "x2"]
    assert (prepared.test.labels == 1).sum() == 6


def test_tumours_are_those_of_scikit_learn(root, tmp_path):
    recipe = Recipe.load(root / "pipeline" / "tumours.yaml")
    write(open_source(recipe.data, Finder(tmp_path), 0), tmp_path, 0)
    prepared, wanted = Prepared.open(tmp_path), load_breast_cancer()
    rows = np.concatenate([prepared.train.x[:], prepared.valid.x[:], prepared.test.x[:]])
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(wanted.data.astype(np.float32), axis=0))
    malignant = prepared.test.x[:][prepared.test.labels == 1]
    given = wanted.data[wanted.target == 0].astype(np.float32)
    np.testing.assert_array_equal(np.sort(malignant, axis=0), np.sort(given, axis=0))


class TestMistakes:
    @pytest.mark.parametrize(
        ("changes", "data", "message"),
        [
            ({}, {"label": {"column": "nope", "normal": "0"}}, "no column nope, which the recipe names; it has amount"),
            ({}, {"columns": {"idd": "ignored"}}, "has no column id"),
            ({}, {"label": {"column": "fraud", "normal": "fine"}}, "no row has fraud 'fine'.*its values are 0, 1"),
            ({}, {"columns": {"id": "ignored", "country": "number"}}, "country holds '..' in row .*isn't a number"),
            ({}, {"columns": {"id": "ignored", "amount": "date"}}, "amount holds .* in row 0, which isn't a date"),
            ({}, {"columns": {"id": "ignored", "amount": "boolean"}}, "isn't a boolean"),
            (
                {"id": [f"row {at // 400 + at % 399}" for at in range(400)]},
                {"columns": {}},
                "column id holds 399 different values.*to ignored, or to category to keep it with its 256 most",
            ),
            ({"amount": np.inf}, {}, "column amount holds infinity"),
            ({"amount": 1e39}, {}, "column amount holds infinity"),
            ({"amount": np.nan}, {}, "column amount holds no value in the training part"),
            ({"fraud": None}, {}, "row 0 has no value of fraud"),
            ({"fraud": 1}, {}, "no row has fraud '0'"),
        ],
    )  # fmt: skip
    def test_a_column(self, root, tmp_path, changes, data, message):
        mixed_frame().assign(**changes).to_csv(tmp_path / "rows.csv", index=False)
        with pytest.raises(DataError, match=message):
            prepare(root, tmp_path / "rows.csv", **data)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "holds no rows"),
            (b"amount,fraud\n", "holds no rows"),
            (b"amount,fraud\n2,0\n", "part is empty: 1 rows, 0 of them kept for the test part, are too few"),
            (b"\x00\xff\xfe binary", "isn't text"),
        ],
    )
    def test_a_file(self, root, tmp_path, content, message):
        (tmp_path / "rows.csv").write_bytes(content)
        with pytest.raises(DataError, match=message):
            prepare(root, tmp_path / "rows.csv", columns={})

    def test_a_file_that_is_not_there_or_of_another_kind(self, root, tmp_path):
        with pytest.raises(DataError, match="isn't there"):
            prepare(root, tmp_path / "rows.csv")
        (tmp_path / "rows.parquet").write_bytes(b"PAR1 no")
        (tmp_path / "prepared").rmdir()
        with pytest.raises(DataError, match="isn't a whole table"):
            prepare(root, tmp_path / "rows.parquet")

    def test_a_row_without_any_value(self, root, tmp_path):
        frame = mixed_frame()[["amount", "fraud"]]
        frame.loc[7, "amount"] = np.nan
        frame.to_csv(tmp_path / "rows.csv", index=False)
        with pytest.raises(DataError, match="row 7 of the table holds no value at all"):
            prepare(root, tmp_path / "rows.csv", columns={})

    @pytest.mark.parametrize(
        ("sections", "message"),
        [
            ({"data": {"label": None}}, "one_class keeps anomalies out of training, which needs a label"),
            ({"model": {"likelihood": {"kind": "bernoulli"}}}, "a table needs model.likelihood.kind mixed"),
            ({"model": {"encoder": {"kind": "convolution", "channels": [4], "activation": "relu"}}}, "of kind dense"),
            ({"model": {"prior": {"kind": "vamp", "components": 3}}}, "a prior other than vamp"),
            ({"model": {"conditional": True}}, "names no labels"),
        ],
    )
    def test_a_recipe(self, root, tmp_path, sections, message):
        values = table_recipe(root, tmp_path / "rows.csv").model_dump(mode="json")
        for name, changes in sections.items():
            values[name] = {**values[name], **changes} if isinstance(changes, dict) else changes
        with pytest.raises(ValueError, match=message):
            Recipe.model_validate(values)

    def test_images_have_no_columns(self, smoke):
        values = smoke.model_dump(mode="json")
        values["model"]["likelihood"] = {"kind": "mixed", "scale": "per_element"}
        with pytest.raises(ValueError, match="mixed is for the columns of a table"):
            Recipe.model_validate(values)


def test_a_constant_column_is_scaled_by_a_step_of_float32(root, tmp_path):
    mixed_frame().assign(amount=50.0, balance=0.0).to_csv(tmp_path / "rows.csv", index=False)
    columns = {column.name: column for column in prepare(root, tmp_path / "rows.csv").spec.columns}
    assert (columns["amount"].offset, columns["balance"].offset) == (50, 0)
    assert columns["amount"].unit == columns["balance"].unit == np.finfo(np.float32).eps


def test_a_category_that_training_never_saw_is_the_class_after_the_last(root, tmp_path):
    frame = mixed_frame().assign(fraud=0, country="SE")
    source_parts = split_table_of(root, tmp_path, frame)
    frame.loc[source_parts["test"][0], "country"] = "FI"
    frame.to_csv(tmp_path / "rows.csv", index=False)
    prepared = prepare(root, tmp_path / "rows.csv")
    country = [column.name for column in prepared.spec.columns].index("country")
    assert prepared.spec.columns[country].values == ("SE",)
    assert set(prepared.test.x[:][:, country].tolist()) == {0, 1}


def split_table_of(root, tmp_path, frame):
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return split_table(open_source(table_recipe(root, tmp_path / "rows.csv").data, Finder(tmp_path), 0), 0).rows


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_some_rows_at_a_time_give_the_same(root, csv, tmp_path, monkeypatch, name):
    whole = prepare(root, csv)
    (tmp_path / "other").mkdir()
    path = tmp_path / "other" / name
    if name.endswith("csv"):
        path.write_bytes(csv.read_bytes())
    else:
        mixed_frame().to_parquet(path, row_group_size=50)
    monkeypatch.setattr(table_files, "ROWS", 70)
    monkeypatch.setattr(table_store, "CHUNK", 110)
    parted = prepare(root, path)
    assert parted.spec.columns == whole.spec.columns
    assert parted.card["duplicates"] == whole.card["duplicates"]
    for column, found in parted.card["columns"].items():
        wanted = whole.card["columns"][column]
        assert found.pop("mean", 0) == pytest.approx(wanted.pop("mean", 0))
        assert found == wanted
    for part in ("train", "valid", "test"):
        np.testing.assert_array_equal(getattr(parted, part).x[:], getattr(whole, part).x[:])


def test_what_a_column_looks_like_is_said_by_all_of_it(root, tmp_path, monkeypatch):
    """A text in the last row makes a category of what looked like numbers, leading noughts and all."""
    monkeypatch.setattr(table_files, "ROWS", 50)
    codes = ["007", "12"] * 199 + ["A1", ""]
    mixed_frame().assign(code=codes).to_csv(tmp_path / "rows.csv", index=False)
    source = open_source(table_recipe(root, tmp_path / "rows.csv").data, Finder(tmp_path), 0)
    code = source.columns[-1]
    assert (code.name, code.kind, code.missing, code.values) == ("code", "category", True, ("007", "12", "A1"))
    assert source.rows[:, -1][:3].tolist() == [0, 1, 0] and np.isnan(source.rows[399, -1])


def test_a_number_may_be_told_to_be_a_category(root, tmp_path):
    mixed_frame().assign(code=np.arange(400) % 3).to_parquet(tmp_path / "rows.parquet")
    told = {"columns": {"id": "ignored", "code": "category"}}
    source = open_source(table_recipe(root, tmp_path / "rows.parquet", **told).data, Finder(tmp_path), 0)
    assert source.columns[-1].values == ("0", "1", "2")


def test_duplicate_rows_are_counted(root, tmp_path):
    frame = mixed_frame()[["amount", "fraud"]].assign(fraud=0)
    pd.concat([frame, frame]).to_csv(tmp_path / "rows.csv", index=False)
    card = prepare(root, tmp_path / "rows.csv", columns={}).card
    amounts = {name: np.load(tmp_path / "prepared" / f"{name}.npy")[:, 0] for name in ("train", "test")}
    assert card["duplicates"]["within_train"] == len(amounts["train"]) - len(set(amounts["train"]))
    assert card["duplicates"]["test_in_train"] == np.isin(amounts["test"], amounts["train"]).sum() > 0
