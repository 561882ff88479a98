"""New rows of a table from Python and by one command."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from pyarrow import parquet
from sklearn.base import clone
from tests.tables import mixed_frame
from typer.testing import CliRunner

from vae_pipeline import Recipe, VAESynthesizer, load
from vae_pipeline.cli.main import app
from vae_pipeline.kinds.spec import Column
from vae_pipeline.kinds.table.synthetic_files import BESIDE, KEY, write_synthetic
from vae_pipeline.scaffold.synthesis import as_synthesizer

FEW = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
LINE = ((0.0, 0.0), (1.0, 1.0))


@pytest.fixture(scope="module")
def frame():
    draw = np.random.default_rng(0)
    found = mixed_frame(600).drop(columns=["fraud", "id"])
    found["visits"] = np.where(draw.random(600) < 0.6, 0, draw.integers(1, 5, 600))
    found["price"] = draw.lognormal(size=600).round(2)
    return found


@pytest.fixture(scope="module")
def synthesizer(frame):
    return VAESynthesizer(target="new", verbose=False).fit(frame)


@pytest.fixture(scope="module")
def report(synthesizer):
    return synthesizer.report()


def test_rows_are_of_the_kinds_that_were_given(synthesizer, frame):
    drawn = synthesizer.sample(2000, random_state=1)
    assert list(drawn) == list(frame) and len(drawn) == 2000
    assert set(drawn.country.dropna()) == {"NO", "SE", "DK"} and drawn.new.dtype == bool
    assert (drawn.when == drawn.when.dt.normalize()).all() and drawn.visits.dtype == np.int64
    assert (drawn.price.mul(100).round() / 100 == drawn.price).all()
    assert drawn.price.between(frame.price.min(), frame.price.max()).all()
    for name in ("balance", "country"):
        assert drawn[name].isna().mean() == pytest.approx(frame[name].isna().mean(), abs=0.04)
    assert not drawn.amount.isna().any()


def test_columns_have_their_shapes_and_go_together(synthesizer, frame):
    drawn = synthesizer.sample(4000, random_state=2)
    assert (drawn.visits == 0).mean() == pytest.approx(0.6, abs=0.06)
    together = [each[["amount", "balance"]].corr().iloc[0, 1] for each in (drawn, frame)]
    assert together[1] < -0.4 and together[0] < 0.7 * together[1]
    medians = [each.groupby("country").amount.median() for each in (drawn, frame)]
    apart = [each["NO"] - each["DK"] for each in medians]
    assert apart[0] == pytest.approx(apart[1], rel=0.35)


def test_a_seed_gives_the_same_rows_and_none_gives_others(synthesizer):
    pd.testing.assert_frame_equal(synthesizer.sample(20, random_state=3), synthesizer.sample(20, random_state=3))
    assert not synthesizer.sample(20).equals(synthesizer.sample(20))


def test_conditions_choose_among_the_rows_of_a_seed(synthesizer, frame, tmp_path):
    rows = synthesizer.sample(5000, random_state=6)
    found = synthesizer.sample(300, random_state=6, where=["country=NO", "visits >= 1"], checks="price >= visits")
    meet = rows[(rows.country == "NO") & (rows.visits >= 1)]
    pd.testing.assert_frame_equal(found, meet[:300].reset_index(drop=True), check_dtype=False)
    assert synthesizer.draws_["drawn"] == meet.index[299] + 1
    assert synthesizer.draws_["broken"] == {"price >= visits": (found.price < found.visits).sum()}
    out = synthesizer.write(tmp_path / "rows.csv", 300, 6, where=["country=NO", "visits >= 1"], origin={"of": "me"})
    pd.testing.assert_frame_equal(
        pd.read_csv(out, parse_dates=["when"])[["price", "visits"]], found[["price", "visits"]]
    )
    told = json.loads((tmp_path / f"rows.csv{BESIDE}").read_text())
    assert told["of"] == "me" and told["seed"] == 6 and told["weights_sha256"] == synthesizer.trained_.weights_sha256
    assert synthesizer.sample(9, balance="country").country.value_counts().to_dict() == {"NO": 3, "SE": 3, "DK": 3}
    with pytest.raises(ValueError, match="there is no column 'vists'"):
        synthesizer.sample(3, where="vists=1")
    with pytest.raises(ValueError, match=r"wanted a name that ends in \.csv or \.parquet"):
        synthesizer.write(tmp_path / "rows.txt", 3)
    with pytest.raises(ValueError, match="no value of visits meets visits=9"):
        VAESynthesizer().require_rules(frame, where="visits=9")


def test_the_report_measures_drawn_rows_and_held_out_ones(report):
    assert report["column_shapes"] > 0.9 and report["column_shapes_of_test"] > 0.85
    assert report["rows_auc"] < 0.75 and report["copies"] < 0.01
    assert report["nearer_to_training"] == pytest.approx(0.5, abs=0.1)
    assert report["membership_auc"] == pytest.approx(0.5, abs=4 * report["membership_standard_error"])
    assert report["disclosure"] == pytest.approx(report["disclosure_of_test"], abs=0.1)
    assert report["tstr_accuracy"] == pytest.approx(report["tstr_of_train_accuracy"], abs=0.15)


def test_a_target_that_is_no_column_is_refused_before_training(frame):
    with pytest.raises(ValueError, match=r"evaluate\.target is 'nwe', and no column is called so; there are new"):
        VAESynthesizer(target="nwe", verbose=False).fit(frame)


@FEW
def test_the_sampler_whose_rows_are_least_told_apart_is_chosen(synthesizer, frame):
    values = synthesizer.recipe_.model_dump(mode="json") | {"sampler": {"kind": "auto", "among": ["prior", "gaussian"]}}
    values["train"] |= {"steps": 40}
    found = VAESynthesizer(Recipe.model_validate(values), verbose=False).fit(frame).trained_.sampler
    assert set(found.distances) == {"prior", "gaussian"} and found.kind == min(found.distances, key=found.distances.get)
    assert all(0.3 < distance <= 1 for distance in found.distances.values())


def test_a_saved_one_draws_the_same(synthesizer, report, frame, tmp_path):
    again = load(synthesizer.save(tmp_path / "kept"))
    assert isinstance(again, VAESynthesizer) and again.rows_ == 600
    pd.testing.assert_frame_equal(again.sample(5, random_state=4), synthesizer.sample(5, random_state=4))
    with pytest.raises(ValueError, match="has no data to be measured on"):
        again.report()
    assert again.report(frame)["column_shapes"] == pytest.approx(report["column_shapes"])


def test_its_recipe_is_a_synthesisers(synthesizer):
    recipe = synthesizer.recipe_
    assert recipe.model.likelihood.numbers == "histogram" and recipe.data.cells == 64
    assert recipe.data.scaling == "quantile" and recipe.train.steps == 400
    assert recipe.evaluate.waive == ("below_baseline", "too_few_steps") and recipe.train.keep == "last"


@pytest.mark.parametrize("rows", [4, 999, 2_000, 32_561, 10**7])
def test_a_recipe_is_one_for_any_number_of_rows(rows, synthesizer):
    values = synthesizer.recipe_.model_dump(mode="json")
    recipe = Recipe.model_validate(as_synthesizer(values, rows))
    assert 300 <= recipe.train.steps <= 6_000 and 1 <= recipe.sampler.components <= 50


@FEW
def test_an_array_gives_an_array():
    x = np.random.default_rng(0).normal(size=(80, 3))
    found = VAESynthesizer(steps=20, verbose=False).fit(x).sample(7)
    assert isinstance(found, np.ndarray) and found.shape == (7, 3) and np.isfinite(found).all()


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (np.random.default_rng(0).normal(size=(9, 8, 8)), "a VAESynthesizer takes rows of a table"),
        (["a sentence", "another one"] * 9, "a VAESynthesizer takes rows of a table"),
        (np.zeros((1, 2)), "minimum of 4 is required|at least 4 are wanted|4"),
    ],
)
def test_what_is_no_table_is_refused(x, told):
    with pytest.raises(ValueError, match=told):
        VAESynthesizer(steps=2, verbose=False).fit(x)


def test_counts_that_are_none_are_refused(synthesizer):
    for count in (0, -1, 1.5, "three"):
        with pytest.raises(ValueError, match="wanted a whole number from 1 up"):
            synthesizer.sample(count)


@FEW
@pytest.mark.parametrize("column", [np.full(60, 3.0), np.full(60, "x"), [f"t{at}" for at in range(60)], [None] * 60])
def test_columns_that_say_little_are_kept_or_left_out(column):
    """One value stays; a text of its own in every row, or none at all, is left out and said to be."""
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=60), "b": column})
    try:
        model = VAESynthesizer(steps=5, verbose=False).fit(frame)
        found = model.sample(10)
    except ValueError as error:
        assert "column b" in str(error) and frame.b.isna().all()
        return
    if frame.b.nunique() == 1:
        assert set(found.b) == set(frame.b)
    else:
        assert list(found) == ["a"]
        assert model.told_ == ("left out: column b, which holds a text of its own in every row",)


@FEW
def test_a_code_keeps_its_zeros_and_is_told():
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"a": draw.normal(size=60), "zip": draw.choice(["02138", "90210"], 60)})
    model = VAESynthesizer(steps=5, verbose=False).fit(frame)
    assert set(model.sample(50).zip) == {"02138", "90210"}
    assert model.told_ == ("column zip holds '02138', as codes do: it is taken as category",)
    assert model.recipe_.data.columns == {"zip": "category"}


@FEW
def test_one_command_makes_a_table_and_says_how_good_it_is(frame, tmp_path, monkeypatch):
    monkeypatch.setattr("vae_pipeline.scaffold.synthesis.LEAST", 60)
    monkeypatch.setattr("vae_pipeline.scaffold.synthesis.PASSES", 2)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    out = tmp_path / "new.csv"
    words = ["synthesize", str(tmp_path / "rows.csv"), "-o", str(out), "--check", "unique(price, amount)"]
    result = CliRunner().invoke(app, [*words, "--where", "vists>=0"])
    assert "did you mean 'visits'" in str(result.exception) and not out.exists()
    result = CliRunner().invoke(app, [*words, "--where", "visits<=4"], catch_exceptions=False)
    assert "rows were drawn for 600" in result.stdout and "break unique(price, amount)" in result.stdout
    assert result.exit_code == 0 and "600 rows that nobody observed" in result.stdout
    assert "column shapes: 0." in result.stdout and "real rows: " in result.stdout
    told = json.loads((tmp_path / f"new.csv{BESIDE}").read_text())
    assert told["synthetic"] is True and told["rows"] == 600 == len(pd.read_csv(out)) and told["of"] == "rows.csv"
    assert pd.read_csv(out).when.str.fullmatch(r"\d{4}-\d\d-\d\d").all()
    assert set(told["figures"]) >= {"column_shapes", "rows_auc", "copies"}
    result = CliRunner().invoke(app, ["synthesize", str(out), "-o", str(tmp_path / "x.txt")])
    assert result.exit_code and not (tmp_path / "x.txt").exists()


@pytest.mark.parametrize(
    ("column", "words", "told"),
    [
        ([None] * 60, [], "column b holds no value.*give --column 'b=ignored'$"),
        (range(60), ["--target", "c"], "--target is 'c', and no column is called so; there are a$"),
    ],
)
def test_the_command_speaks_of_its_own_options(column, words, told, tmp_path):
    pd.DataFrame({"a": np.random.default_rng(0).normal(size=60), "b": column}).to_csv(
        tmp_path / "rows.csv", index=False
    )
    result = CliRunner().invoke(app, ["synthesize", str(tmp_path / "rows.csv"), "-o", str(tmp_path / "x.csv"), *words])
    assert re.search(told, str(result.exception)) and list(tmp_path.iterdir()) == [tmp_path / "rows.csv"]


def test_another_encoding_is_asked_for_by_a_parameter_or_an_option(tmp_path):
    path = tmp_path / "orte.csv"
    path.write_bytes(("Straße;zahl\n" + "".join(f"Straße {at % 5};{at % 7}\n" for at in range(60))).encode("cp1252"))
    with pytest.raises(ValueError, match=r"in VAESynthesizer\(csv=\{'encoding': \.\.\.\}\)$"):
        VAESynthesizer().fit(path)
    with pytest.raises(ValueError, match="encodin: unknown key; did you mean encoding"):
        VAESynthesizer(csv={"encodin": "cp1252"}).fit(path)
    result = CliRunner().invoke(app, ["synthesize", str(path), "-o", str(tmp_path / "x.csv")])
    assert str(result.exception).endswith("in --csv encoding=...")
    VAESynthesizer(csv={"encoding": "cp1252"}).require_rules(path, where=["Straße in 'Straße 1'"])


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_a_file_says_that_nobody_observed_its_rows(name, tmp_path):
    columns = (Column("a", "number", True, LINE), Column("b", "category", False, LINE, ("x", "y")))
    pieces = [np.float32([[0.1, 0], [np.nan, 1]])] * 2
    write_synthetic(tmp_path / name, iter(pieces), columns, lambda: {"seed": 7})
    if name.endswith(".csv"):
        assert (tmp_path / name).read_text() == "a,b\n0.1,x\n,y\n0.1,x\n,y\n"
        told = json.loads((tmp_path / (name + BESIDE)).read_text())
        assert told == {"synthetic": True, "seed": 7}
    else:
        table = parquet.read_table(tmp_path / name)
        assert json.loads(table.schema.metadata[KEY.encode()]) == {"synthetic": True, "seed": 7}
        assert table.to_pandas().a.tolist()[0] == 0.1


def test_torchs_generator_is_left_as_it_was(synthesizer, report):
    before = torch.get_rng_state()
    synthesizer.sample(3)
    assert synthesizer.report() == report
    assert (torch.get_rng_state() == before).all() and clone(synthesizer).target == "new"
