"""Columns that follow from others: found, and kept to in drawn rows."""

import numpy as np
import pandas as pd
import pytest

from vae_pipeline import VAESynthesizer
from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.kinds.table.dependence import dependent
from vae_pipeline.kinds.table.follows import Follows, followed
from vae_pipeline.system.errors import DataError

LINE = ((0.0, 0.0), (1.0, 1.0))
CITIES = {"Berlin": "BE", "Hamburg": "HH", "Cologne": "NW", "Bonn": "NW"}


def orders(count=400):
    draw = np.random.default_rng(3)
    found = pd.DataFrame({"net": draw.gamma(3, 30, count).round(2), "fee": draw.gamma(2, 5, count).round(2)})
    found["total"] = (found.net + found.fee).round(2)
    found["celsius"] = draw.normal(10, 8, count).round(1)
    found["fahrenheit"] = (found.celsius * 9 / 5 + 32).round(2)
    found["rounded"] = (found.net * 1.19).round(1)
    found["city"] = draw.choice(list(CITIES), count)
    found["state"] = found.city.map(CITIES)
    found["code"] = found.city.map({"Berlin": 11, "Hamburg": 2, "Cologne": 5, "Bonn": 5})
    found["product"] = (found.net * found.fee).round(2)
    return found


def found_in(rows, kinds, step=0.0):
    columns = [
        Column(f"c{at}", kind, False, LINE, tuple("abcdefghij") if kind == "category" else (), step=step)
        for at, kind in enumerate(kinds)
    ]
    return {each.column: each.of for each in dependent(np.asarray(rows, float), columns)}


def test_the_synthesizer_draws_what_follows_as_it_follows_and_says_so(tmp_path):
    frame = orders()
    model = VAESynthesizer(steps=300, verbose=False).fit(frame)
    told = {line.split()[1]: line for line in model.told_}
    assert set(told) == {"total", "fahrenheit", "rounded", "state", "code"}
    assert told["total"] == "column total follows from net and fee in every row, and is drawn so"
    rows = model.sample(500, random_state=1)
    np.testing.assert_allclose(rows.total, rows.net + rows.fee, atol=1e-6)
    np.testing.assert_allclose(rows.fahrenheit, rows.celsius * 9 / 5 + 32, atol=1e-6)
    np.testing.assert_allclose(rows["rounded"], rows.net * 1.19, atol=0.0501)
    assert (rows.state == rows.city.map(CITIES)).all() and rows.city.nunique() == 4
    met = model.sample(20, random_state=1, where=["total >= 150"], checks="total = net + fee")
    assert (met.total >= 150).all() and model.draws_["broken"] == {"total = net + fee": 0}
    assert TableSpec.from_dict(model.trained_.spec.to_dict()) == model.trained_.spec
    model.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(VAESynthesizer.load(tmp_path / "saved").sample(50, random_state=1), rows[:50])


def test_what_goes_together_by_chance_or_loosely_follows_from_nothing():
    draw = np.random.default_rng(4)
    classes = draw.integers(0, 10, 300)
    numbers = draw.normal(size=(300, 3))
    near = numbers.sum(axis=1) + draw.normal(scale=0.01, size=300)
    rare = (np.arange(300) == 7).astype(float)
    lacking = np.where(np.arange(300) % 9, classes, np.nan)
    rows = np.column_stack([classes, draw.integers(0, 10, 300), numbers, near, rare, np.ones(300), lacking])
    assert found_in(rows, ["category", "category", *["number"] * 4, "boolean", "number", "category"]) == {}


def test_few_rows_tell_of_no_class_and_of_no_sum():
    draw = np.random.default_rng(5)
    x = draw.normal(size=(8, 9))
    assert found_in(np.column_stack([x, x.sum(axis=1)]), ["number"] * 10) == {}
    assert found_in(np.column_stack([np.arange(8), np.arange(8) // 2]), ["category"] * 2) == {}


def test_a_number_of_coarse_steps_is_no_rounded_sum():
    draw = np.random.default_rng(6)
    x = draw.normal(size=300)
    assert found_in(np.column_stack([x, np.rint(x)]), ["number"] * 2, step=1.0) == {}
    assert found_in(np.column_stack([x, 3 * x + 1]), ["number"] * 2) == {"c1": ("c0",)}


@pytest.mark.parametrize("wrong", [{"of": ()}, {"of": ("none",)}, {"column": "none"}, {"weights": (1.0, 2.0)}])
def test_a_spec_of_what_can_not_follow_is_refused(wrong):
    columns = (Column("a", "number", False, LINE), Column("b", "number", False, LINE))
    good = {"column": "b", "of": ("a",), "constant": 1.0, "weights": (2.0,)}
    spec = TableSpec(columns, (), follows=(Follows(**good),))
    np.testing.assert_array_equal(spec.drawn(np.array([[3.0, 0.0]])), [[3.0, 7.0]])
    assert "follows" not in TableSpec(columns, ()).to_dict()
    with pytest.raises(DataError, match="follows from"):
        TableSpec.from_dict(TableSpec(columns, (), follows=(Follows(**{**good, **wrong}),)).to_dict())


def test_a_code_that_training_never_saw_leaves_the_value_as_it_was():
    rows = np.array([[0.0, 5.0], [2.0, 5.0], [np.nan, 5.0]])
    given = followed(rows, ["a", "b"], [Follows("b", ("a",), known=((0.0, 8.0), (1.0, 9.0)))])
    np.testing.assert_array_equal(given, [[0.0, 8.0], [2.0, 5.0], [np.nan, 5.0]])
