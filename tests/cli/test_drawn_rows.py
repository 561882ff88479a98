"""Rows of a table by the command line and from a bundle: those of a seed that meet conditions, in files that say so."""

import json

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.kinds.table.frames import decode
from vae_pipeline.kinds.table.synthetic_files import BESIDE, KEY
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.samples import SampleStream
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import sha256_of

WHERE = ["--where", "country=NO", "--where", "when >= 2026-01-20"]


@pytest.fixture(scope="module")
def bundle(table_lane):
    return Bundle.load(table_lane.bundle)


@pytest.fixture(scope="module")
def drawn(bundle):
    """The first rows of seed 5, as a table."""
    return decode(bundle.sample(3000, seed=5), bundle.spec.columns)


def sample(bundle, out, *words):
    result = CliRunner().invoke(app, ["sample", str(bundle.folder), "-o", str(out), "--seed", "5", *map(str, words)])
    return result.exit_code, result.stdout, str(result.exception or "")


def test_conditional_rows_are_the_others_filtered(bundle, drawn, tmp_path):
    meet = drawn[(drawn.country == "NO") & (drawn.when >= pd.Timestamp("2026-01-20", tz="UTC"))]
    out = tmp_path / "rows.csv"
    code, said, _ = sample(bundle, out, "--count", 200, *WHERE)
    tried = meet.index[199] + 1
    assert code == 0 and f"{tried:,} rows were drawn for 200 ({20000 / tried:.3g} %): country=NO, when >=" in said
    found = pd.read_csv(out, parse_dates=["when"])
    np.testing.assert_allclose(found.amount, meet.amount[:200], rtol=1e-6)
    assert (found.when == meet.when[:200].dt.tz_localize(None).to_numpy()).all() and set(found.country) == {"NO"}
    told = json.loads((tmp_path / f"rows.csv{BESIDE}").read_text())
    assert told["synthetic"] is True and told["where"] == WHERE[1::2] and told["seed"] == 5
    assert (told["rows"], told["drawn"]) == (200, tried)
    assert told["bundle_sha256"] == sha256_of(bundle.folder / "bundle.json")
    assert told["weights_sha256"] == bundle.manifest.weights_sha256 and "column_shapes" in told["figures"]
    rows = bundle.sample(200, 5, where=WHERE[1::2])
    sample(bundle, tmp_path / "rows.npy", "--count", 200, *WHERE)
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), rows)
    assert json.loads((tmp_path / f"rows.npy{BESIDE}").read_text()) == told


def test_classes_and_checks_are_told(bundle, drawn, tmp_path):
    out = tmp_path / "rows.parquet"
    words = ["--count", 30, "--balance", "country", "--check", "balance * 10 <= amount", "--check", "unique(when)"]
    code, said, _ = sample(bundle, out, *words)
    rows = pd.read_parquet(out)
    assert code == 0 and rows.country.value_counts().to_dict() == {"NO": 10, "SE": 10, "DK": 10}
    assert "country=NO: 10 of 1" in said or "country=NO: 10 of 2" in said
    told = json.loads(parquet.read_schema(out).metadata[KEY.encode()])
    broken = {
        "balance * 10 <= amount": (rows.balance * 10 > rows.amount).sum(),
        "unique(when)": rows.when.duplicated().sum(),
    }
    assert told["broken"] == broken and told["checked"] == 30
    assert f"{broken['unique(when)']} of 30 rows ({broken['unique(when)'] / 0.3:.3g} %) break unique(when)\n" in said
    code, said, _ = sample(bundle, out, *words, "--only-valid", "--json")
    found = json.loads(said)
    rows = pd.read_parquet(out)
    assert found["count"] == 30 and found["found"][0]["only_valid"] and not rows.when.duplicated().any()
    assert (rows.balance.isna() | (rows.balance * 10 <= rows.amount)).all()


def test_one_row_is_a_table(bundle, drawn, tmp_path):
    assert sample(bundle, tmp_path / "one.csv", "--count", 1)[0] == 0
    assert len(pd.read_csv(tmp_path / "one.csv")) == 1
    assert sample(bundle, tmp_path / "none.csv", "--count", 0)[0] == 2 and not (tmp_path / "none.csv").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--where", "contry=NO"], "there is no column 'contry': did you mean 'country'?"),
        (["--where", "fraud=0"], "the column fraud isn't drawn"),
        (["--where", "country=NO", "--where", "country=SE"], "no value of country meets country=NO and country=SE"),
        (["--mean", "--where", "country=NO"], "--mean gives means"),
        (["--balance", "amount"], "amount is a number"),
        (["--only-valid"], "no check was given"),
        (["--check", "amount <"], "'' is none"),
        (["--label", "1"], "--label means nothing"),
    ],
)
def test_what_can_not_be_drawn_leaves_no_file(words, told, bundle, tmp_path):
    code, _, error = sample(bundle, tmp_path / "rows.csv", *words)
    assert code and told in error and not list(tmp_path.iterdir())


def test_conditions_are_of_tables(lane, bundle):
    images = Bundle.load(lane.bundle)
    code, _, error = sample(images, "s.npy", "--where", "age=3")
    assert code and "--where means nothing to a model of images" in error
    for of, words in ((images, {}), (bundle, {"draw": False})):
        with pytest.raises(DataError, match="conditions were given, which are of the drawn rows of a table"):
            of.sample(3, where="country=NO", **words)


def test_means_are_told_apart(bundle, tmp_path):
    assert sample(bundle, tmp_path / "means.csv", "--count", 5, "--mean")[0] == 0
    assert json.loads((tmp_path / f"means.csv{BESIDE}").read_text())["means"] is True


def test_samples_are_the_same_however_many_are_asked_for_at_a_time(lane, bundle):
    for of in (bundle, Bundle.load(lane.bundle)):
        whole, stream = of.sample(700, seed=9), SampleStream(of, 9)
        parts = np.concatenate([stream(count) for count in (1, 255, 400, 44)])
        np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5)


def test_a_bundle_takes_the_rules_of_the_command_line(bundle, tmp_path):
    rules = {"where": "country in NO, SE", "balance": "country", "checks": ["balance * 10 <= amount", "unique(when)"]}
    words = ["--where", rules["where"], "--balance", "country", *(f"--check={text}" for text in rules["checks"])]
    sample(bundle, tmp_path / "rows.npy", "--count", 40, *words, "--only-valid")
    told = json.loads((tmp_path / f"rows.npy{BESIDE}").read_text())
    np.testing.assert_array_equal(bundle.sample(40, 5, **rules, only_valid=True), np.load(tmp_path / "rows.npy"))
    assert bundle.draws.items() <= told.items() and bundle.draws["broken"].keys() == {*rules["checks"]}


def test_generated_rows_that_meet_conditions_are_the_others_filtered(bundle, monkeypatch):
    country = bundle.spec.names.index("country")
    every = bundle.generate(3000, seed=3, first=7)
    norwegian = every[every[:, country] == bundle.spec.columns[country].values.index("NO")]
    np.testing.assert_array_equal(bundle.generate(100, 3, 7, where="country=NO"), norwegian[:100])
    after = 7 + bundle.draws["drawn"]
    np.testing.assert_array_equal(bundle.generate(50, 3, after, where="country=NO"), norwegian[100:150])
    monkeypatch.setattr("vae_pipeline.runtime.samples.SEEDS", 3007)
    with pytest.raises(DataError, match="the draws of seed 3 end at 3,006: take another seed"):
        bundle.generate(3000, 3, 7, where="country=NO")
