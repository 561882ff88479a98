"""Columns that count, from a file to the spec."""

import numpy as np
import pandas as pd
import pytest
from tests.tables import table_recipe

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.spec import load_spec
from vae_pipeline.kinds.table.source import open_table
from vae_pipeline.kinds.table.store import write_table
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import TableData
from vae_pipeline.system.errors import DataError

DRAW = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "a": DRAW.poisson(3, 200).astype(float), "b": DRAW.poisson(40, 200), "height": DRAW.normal(size=200),
    "sort": DRAW.choice(["x", "y"], 200), "none": [0] * 200,
})  # fmt: skip


def prepared(folder, frame=FRAME, counts=("b", "a", "none", "a")):
    path = folder / "counts.csv"
    frame.to_csv(path, index=False)
    told = {"kind": "table", "file": {"path": str(path)}, "label": None, "columns": {}, "scaling": "standard"}
    told |= {"one_class": False, "valid": 0.1, "test": 0.1, "counts": counts}
    write_table(open_table(TableData.model_validate(told), Finder(folder)), folder, 0)
    return load_spec(folder / "spec.json"), np.load(folder / "train.npy")


def test_counts_are_kept_as_they_are_with_their_totals(tmp_path):
    spec, train = prepared(tmp_path)
    assert spec.counts == ("a", "b", "none")
    assert (train[:, [0, 1, 4]] == np.rint(train[:, [0, 1, 4]])).all()
    totals = train[:, [0, 1, 4]].sum(1)
    assert spec.totals == pytest.approx(np.quantile(totals, np.linspace(0, 1, 101)))
    assert [spec.columns[at].step for at in (0, 1, 4)] == [1, 1, 1] and spec.columns[4].unit == 1
    assert "counts" not in prepared(tmp_path, counts=None)[0].to_dict()


def test_a_row_that_counts_wrongly_is_refused_and_one_that_counts_much_is_not(tmp_path):
    spec, _ = prepared(tmp_path, FRAME.assign(a=FRAME.a.where(FRAME.index % 9 > 0)))
    row = np.array([[np.nan, 1e9, 0.5, 1, 0]])
    assert spec.checked(row, 0, False).shape == (1, 5)
    for value in (-1, 0.5):
        row[0, 1] = value
        with pytest.raises(
            DataError, match=rf"column b holds {value:g} in row 7, .* whole numbers from 0 up are wanted"
        ):
            spec.checked(row, 7, False)


@pytest.mark.parametrize(
    ("changes", "counts", "said"),
    [
        ({}, "all", r"column height holds .* in row \d+, and data.counts says that it counts"),
        ({"a": -2}, ("a",), "column a holds -2 in row 5, and data.counts says that it counts"),
        ({"a": 1.5}, ("a",), "column a holds 1.5 in row 5"),
        ({"a": 10**9}, ("a",), "column a holds 1000000000 in row 5, and float32 knows whole numbers up to 16,777,216"),
        ({}, ("sort", "zzz"), "data.counts names sort, zzz, and no column of numbers is called so; there are a, b, h"),
        ({}, ("none",), "the columns of data.counts are 0 in all rows of the training part"),
    ],
)
def test_what_is_no_count_is_said_in_a_line(changes, counts, said, tmp_path):
    frame = FRAME.copy()
    for column, value in changes.items():
        frame.loc[5, column] = value
    with pytest.raises(DataError, match=said):
        prepared(tmp_path, frame, counts)


@pytest.mark.parametrize(
    ("counts", "family", "said"),
    [
        (None, "poisson", "data.counts names none: set it to all, or names"),
        ("all", None, "data.counts names columns, and model.likelihood.counts no family for them"),
    ],
)
def test_a_family_and_its_columns_go_together(counts, family, said, tmp_path, request):
    values = table_recipe(request.config.rootpath, tmp_path / "x.csv").model_dump(mode="json")
    if counts:
        values["data"]["counts"] = counts
    if family:
        values["model"]["likelihood"]["counts"] = {"family": family, "library": False}
    with pytest.raises(ValueError, match=said):
        Recipe.model_validate(values)
