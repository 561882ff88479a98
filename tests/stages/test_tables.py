"""A table through all stages, and its bundle in use."""

import dataclasses
import json
import re

import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from tests.lanes import make_job
from tests.tables import mixed_frame, table_recipe
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.table.frames import encode
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.verification import verify
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.rate_distortion import controls_of, rate_distortion
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import BundleError, DataError, DriftError, OutputError


@pytest.fixture
def metrics(table_lane):
    return json.loads((table_lane.report / "metrics.json").read_text())


@pytest.fixture
def bundle(table_lane):
    return Bundle.load(table_lane.bundle)


@pytest.fixture
def new(tmp_path):
    """Rows that no stage has seen, as a file."""
    mixed_frame(150, seed=1).to_csv(tmp_path / "new.csv", index=False)
    return tmp_path / "new.csv"


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


class TestReport:
    def test_it_finds_the_anomalies(self, metrics, table_lane):
        test = Prepared.open(table_lane.data).test
        assert metrics["anomalies"] == (test.labels == 1).sum()
        assert metrics["test_examples"] == (test.labels == 0).sum()
        assert metrics["auroc"] > 0.9
        assert metrics["recall_at_fpr_0.05"] >= metrics["recall_at_fpr_0.01"]
        assert "there are" in metrics["left_out"]["recall_at_fpr_0.001"] and metrics["auroc_standard_error"] > 0
        assert metrics["measure"] == "density"
        assert metrics["elbo"] > metrics["baseline_elbo"]
        assert not {"psnr", "ssim", "frechet_samples", "entropy_floor", "sharpness"} & set(metrics)

    def test_the_figures_are_those_of_the_bundles_scores(self, metrics, bundle, table_lane):
        test = Prepared.open(table_lane.data).test
        score = bundle.score(test.x[:]).negative_elbo
        assert roc_auc_score(test.labels, score) == pytest.approx(metrics["auroc"], abs=1e-12)
        assert average_precision_score(test.labels, score) == pytest.approx(metrics["average_precision"], abs=1e-12)

    def test_the_page_speaks_of_rows(self, table_lane):
        page = (table_lane.report / "index.html").read_text(encoding="utf-8")
        words = re.sub("<[^>]*>", " ", page[page.index("<main>") : page.index("The recipe, as it was run")])
        assert "normal rows of 5 columns" in words and "AUROC" in words and "country (category)" in words
        assert " image" not in words and "pixel" not in words and "height" not in words
        pictures = {path.name for path in (table_lane.report / "plots").iterdir()}
        assert pictures == {
            *("correlations.png", "curves.png", "latents.png", "marginals.png", "rate_per_dimension.png", "scores.png")
        }

    def test_again_it_has_the_same_bytes(self, table_lane, root, tmp_path):
        job = make_job("table", table_recipe(root, table_lane.data.parent / "rows.csv"), tmp_path / "home")
        prepare(job, tmp_path / "data")
        train(job, tmp_path / "data", tmp_path / "model")
        evaluate(job, tmp_path / "data", tmp_path / "model", tmp_path / "report")
        for ours, theirs in (("data", table_lane.data), ("model", table_lane.model), ("report", table_lane.report)):
            for path in theirs.rglob("*"):
                if path.is_file():
                    assert (tmp_path / ours / path.relative_to(theirs)).read_bytes() == path.read_bytes(), path

    def test_the_rate_distortion_curve_knows_tables(self, table_lane, root, tmp_path):
        recipe = table_recipe(root, table_lane.data.parent / "rows.csv")
        job = make_job("table", recipe, tmp_path / "home")
        points = rate_distortion(job, table_lane.data, tmp_path / "curve", controls_of("1", None), 1)
        assert len(points) == 1

    def test_the_summary_has_its_column(self, table_lane, lane, tmp_path):
        (tmp_path / "reports").mkdir()
        (tmp_path / "reports" / "smoke").symlink_to(lane.report)
        assert "AUROC" not in invoke("summary", tmp_path / "reports", tmp_path)
        (tmp_path / "reports" / "table").symlink_to(table_lane.report)
        shown = invoke("summary", tmp_path / "reports", tmp_path)
        assert "AUROC" in shown and "PSNR" in shown


class TestBundle:
    def test_its_graphs_hold_nothing_that_a_runtime_gets_wrong(self, table_lane):
        """MNN lacks IsNaN and dies of an empty part; OpenVINO adds a row of constants wrongly after a sum."""
        for file in table_lane.bundle.glob("*.onnx"):
            graph = onnx.load(file).graph
            known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
            summed = {node.output[0] for node in graph.node if node.op_type == "ReduceSum"}
            assert not [node for node in graph.node if node.op_type == "IsNaN"]
            assert not [node for node in graph.node if node.op_type == "Split" and 0 in known[node.input[1]]]
            for node in graph.node:
                if node.op_type == "Add" and summed & set(node.input):
                    assert all(known[name].size == 1 for name in node.input if name in known), file.name

    def test_it_is_whole_and_says_what_the_columns_are(self, table_lane, bundle):
        assert len(verify(table_lane.bundle)) == 10
        told = bundle.session("score").get_modelmeta().custom_metadata_map
        assert json.loads(told["vae.columns"])["when"] == "date"
        card = (table_lane.bundle / "MODEL_CARD.md").read_text()
        assert (
            "rows of 5 columns: amount (number), balance (number), country (category), new (" in card
            and "AUROC" in card
        )

    def test_scores_are_bit_identical_and_rows_do_not_know_of_each_other(self, bundle, table_lane):
        x = Prepared.open(table_lane.data).test.x[:]
        first, second = bundle.score(x), bundle.score(x)
        assert first.negative_elbo.tobytes() == second.negative_elbo.tobytes()
        np.testing.assert_allclose(bundle.score(x[5:9]).negative_elbo, first.negative_elbo[5:9], rtol=1e-5)

    def test_it_fills_in_what_is_missing(self, bundle):
        rows = np.array([[70, np.nan, np.nan, 0, 20500], [130, np.nan, np.nan, 1, 20500]], np.float32)
        filled = bundle.reconstruct(rows)
        assert np.isfinite(filled).all()
        assert filled[1, 1] < filled[0, 1] - 1  # the balance falls by 2 as the amount rises by 20
        assert filled[1, 2] == 1  # NO

    def test_an_unknown_category_is_less_likely_than_any_other(self, bundle):
        row = np.array([[100, 5, 0, 1, 20500]], np.float32)
        rows = np.repeat(row, 4, axis=0)
        rows[:, 2] = [0, 1, 2, 3]
        assert bundle.score(rows).negative_elbo.argmax() == 3

    def test_the_further_out_the_less_likely(self, bundle):
        rows = np.repeat(np.array([[100, 5, 2, 1, 20500]], np.float32), 7, axis=0)
        rows[:, 0] = [100, 160, 250, 400, 500, 5000, 1e30]
        score = bundle.score(rows).negative_elbo
        assert (np.diff(score) > 0).all() and np.isfinite(score).all()

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ([np.nan] * 5, "row 0 holds no value at all"),
            ([np.nan, 5, 0, 1, 20500], "column amount lacks a value in row 0"),
            ([np.inf, 5, 0, 1, 20500], "column amount holds infinity"),
            ([1e300, 5, 0, 1, 20500], "column amount holds infinity"),
            ([100, 5, 0.5, 1, 20500], "column country is a category: whole numbers from 0 to 3"),
            ([100, 5, 4, 1, 20500], "whole numbers from 0 to 3"),
            ([100, 5, 0, 2, 20500], "column new is a boolean: whole numbers from 0 to 1"),
            ([100, 5, 0, 1], r"shape \[1, 4\] were given; wanted \[examples, 5\]"),
        ],
    )
    def test_what_it_refuses(self, bundle, row, message):
        with pytest.raises(DataError, match=message):
            bundle.score(np.array([row]))
        with pytest.raises(DataError, match="no observations"):
            bundle.score(np.empty((0, 5)))


class TestCommands:
    def test_score(self, bundle, table_lane, new, tmp_path):
        invoke("score", table_lane.bundle, new, "-o", tmp_path / "scores.csv")
        found, frame = pd.read_csv(tmp_path / "scores.csv"), pd.read_csv(new)
        assert list(found) == ["example", "negative_elbo", "distortion", "rate", "p_value"]
        assert roc_auc_score(frame.fraud, found.negative_elbo) > 0.9
        frame.drop(columns=["fraud", "id"])[reversed(["amount", "balance", "country", "new", "when"])].to_parquet(
            tmp_path / "new.parquet"
        )
        again = pd.read_csv(pd.io.common.StringIO(invoke("score", table_lane.bundle, tmp_path / "new.parquet")))
        pd.testing.assert_frame_equal(again, found)

    def test_alarms_and_discoveries(self, bundle, table_lane, new, tmp_path):
        out = tmp_path / "scored.parquet"
        invoke("score", table_lane.bundle, new, "--alpha", 0.05, "--false-discovery", 0.2, "--contributions", "-o", out)
        found, frame = pd.read_parquet(out), pd.read_csv(new)
        np.testing.assert_array_equal(found.alarm, found.p_value <= np.float32(0.05))
        assert found.alarm[frame.fraud == 1].mean() > 0.5 > found.alarm[frame.fraud == 0].mean()
        order = found.p_value.sort_values()
        passing = order[order <= 0.2 * np.arange(1, 151) / 150]
        np.testing.assert_array_equal(found.discovery, found.p_value <= passing.max())
        parts = found.filter(like="contribution.")
        assert list(parts) == [f"contribution.{name}" for name in ("amount", "balance", "country", "new", "when")]
        caught = (frame.fraud == 1) & found.alarm
        assert (parts[caught].to_numpy().argmax(axis=1) == 0).mean() > 0.8  # the amount is what was tampered with

    def test_all_that_a_detector_says_as_arrays(self, bundle, table_lane, new, tmp_path):
        invoke("score", table_lane.bundle, new, "-o", tmp_path / "found.npz")
        with np.load(tmp_path / "found.npz") as found:
            assert found["contributions"].shape == (150, 5) and found["p_value"].shape == (150,)

    def test_an_alpha_that_the_calibration_cannot_tell(self, table_lane, new):
        with pytest.raises(DataError, match=r"alpha 0.001 was given; this calibration, of \d+ examples, tells"):
            invoke("score", table_lane.bundle, new, "--alpha", "0.001")
        with pytest.raises(DataError, match="--contributions adds a column for each of a table, --heat-maps draws"):
            invoke("score", table_lane.bundle, new, "--heat-maps", "maps.png")

    def test_drift(self, table_lane, new):
        frame = pd.read_csv(new)
        frame[frame.fraud == 0].to_csv(new, index=False)
        same = json.loads(invoke("drift", table_lane.bundle, new, "--json"))["found"][0]
        frame.assign(balance=frame.balance + 3).to_csv(new, index=False)
        moved = json.loads(invoke("drift", table_lane.bundle, new, "--json"))["found"][0]
        assert same["psi"] < moved["psi"] and same["p_value"] > 0.05 > moved["p_value"]
        assert "balance" in moved["columns"] and (same["verdict"], moved["verdict"]) == ("none", "much")
        said = invoke("drift", table_lane.bundle, new)
        assert said.startswith("drift: much: the scores of") and "columns that add most" in said and "balance" in said
        with pytest.raises(DriftError, match=r"drifted \(much\), and --fail-on some"):
            invoke("drift", table_lane.bundle, new, "--fail-on", "some")

    def test_one_row(self, table_lane, new, tmp_path):
        pd.read_csv(new).head(1).to_csv(tmp_path / "one.csv", index=False)
        assert len(invoke("score", table_lane.bundle, tmp_path / "one.csv").splitlines()) == 2

    def test_an_array(self, table_lane, tmp_path):
        np.save(tmp_path / "rows.npy", Prepared.open(table_lane.data).test.x[:3])
        assert len(invoke("score", table_lane.bundle, tmp_path / "rows.npy").splitlines()) == 4

    def test_sample_and_reconstruct_give_tables(self, table_lane, new, tmp_path):
        invoke("sample", table_lane.bundle, "-o", tmp_path / "drawn.csv", "--count", "200")
        drawn = pd.read_csv(tmp_path / "drawn.csv")
        assert list(drawn) == ["amount", "balance", "country", "new", "when"] and len(drawn) == 200
        assert set(drawn.country.dropna()) <= {"DK", "NO", "SE"} and drawn.new.dtype == bool
        assert drawn.when.str.startswith("2026-").mean() > 0.9
        assert drawn.amount.mean() == pytest.approx(100, abs=8)
        assert drawn.balance.isna().mean() == pytest.approx(0.1, abs=0.08) and not drawn.amount.isna().any()
        invoke("sample", table_lane.bundle, "-o", tmp_path / "means.csv", "--count", "200", "--mean")
        means = pd.read_csv(tmp_path / "means.csv")
        assert not means.isna().any().any() and means.balance.std() < drawn.balance.std()
        invoke("reconstruct", table_lane.bundle, new, "-o", tmp_path / "near.csv")
        near, given = pd.read_csv(tmp_path / "near.csv"), pd.read_csv(new)
        normal = given.fraud == 0
        assert np.corrcoef(near.amount[normal], given.amount[normal])[0, 1] > 0.9

    def test_encode(self, table_lane, new, tmp_path):
        invoke("encode", table_lane.bundle, new, "-o", tmp_path / "z.npy")
        assert np.load(tmp_path / "z.npy").shape == (150, 8)
        for name, read in (("z.csv", pd.read_csv), ("z.parquet", pd.read_parquet)):
            invoke("encode", table_lane.bundle, new, "-o", tmp_path / name, "--keep", "id")
            found = read(tmp_path / name)
            assert list(found)[:3] == ["example", "id", "mean_0"] and found.shape == (150, 18)
            np.testing.assert_allclose(found.filter(like="mean"), np.load(tmp_path / "z.npy"), atol=1e-6)
            assert found.id.tolist() == pd.read_csv(new).id.tolist()

    def test_rows_of_several_files_by_name(self, table_lane, new, tmp_path):
        pd.read_csv(new).head(3).assign(who=["a", "b", "c"]).to_json(tmp_path / "r.jsonl", orient="records", lines=True)
        pd.read_csv(new).head(2).assign(who=["d", "e"]).to_parquet(tmp_path / "s.parquet")
        out = tmp_path / "out.csv"
        invoke("score", table_lane.bundle, tmp_path / "r.jsonl", tmp_path / "s.parquet", "--keep", "who", "-o", out)
        found = pd.read_csv(out)
        assert list(found)[:4] == ["example", "file", "row", "who"]
        assert found.who.tolist() == list("abcde") and found.row.tolist() == [0, 1, 2, 0, 1]
        assert [file.rpartition("/")[2] for file in found.file] == ["r.jsonl"] * 3 + ["s.parquet"] * 2
        np.testing.assert_allclose(found.negative_elbo[:2], found.negative_elbo[3:], rtol=1e-4)
        with pytest.raises(DataError, match="lacks the column whom"):
            invoke("score", table_lane.bundle, new, "--keep", "whom")
        with pytest.raises(DataError, match="is a folder: a table"):
            (tmp_path / "empty").mkdir()
            invoke("score", table_lane.bundle, tmp_path / "empty")

    def test_one_bad_cell_does_not_cost_the_other_rows(self, table_lane, new, tmp_path):
        frame = pd.read_csv(new).astype(object)
        whole = pd.read_csv(pd.io.common.StringIO(invoke("score", table_lane.bundle, new)))
        frame.loc[5, "amount"] = "much"
        frame.loc[9, "amount"] = np.nan
        frame.loc[77, ["amount", "balance", "country", "new", "when"]] = np.nan
        frame.loc[149, "new"] = "maybe"
        frame.to_csv(new, index=False)
        with pytest.raises(DataError, match="column amount holds 'much' in row 5"):
            invoke("score", table_lane.bundle, new)
        invoke("score", table_lane.bundle, new, "--on-error", "mark", "--alpha", "0.1", "-o", tmp_path / "marked.csv")
        marked = pd.read_csv(tmp_path / "marked.csv")
        bad = [5, 9, 77, 149]
        assert marked.index[marked.error.notna()].tolist() == bad == marked.index[marked.p_value.isna()].tolist()
        for row, said in ((5, "'much' in row 5"), (9, "a value in row 9"), (77, "row 77 holds no"), (149, "row 149")):
            assert said in marked.error[row]
        np.testing.assert_allclose(marked.negative_elbo.drop(bad), whole.negative_elbo.drop(bad), rtol=1e-4)
        skipped = CliRunner().invoke(app, ["score", str(table_lane.bundle), str(new), "--on-error", "skip"])
        assert skipped.stderr.count("left out: ") == 4
        assert pd.read_csv(pd.io.common.StringIO(skipped.stdout)).example.tolist() == marked.index.drop(bad).tolist()
        frame.assign(amount="much").to_csv(new, index=False)
        with pytest.raises(DataError, match=r"none of 150 examples can be used, the first because .*'much' in row 0"):
            invoke("score", table_lane.bundle, new, "--on-error", "skip")

    def test_a_bundle_takes_a_frame_and_records(self, bundle, new, table_lane):
        frame = pd.read_csv(new).drop(columns=["fraud", "id"])
        wanted = bundle.detect(encode(frame, bundle.spec.columns, "new"))
        for given in (frame, frame[frame.columns[::-1]], frame.to_dict("records")):
            np.testing.assert_array_equal(bundle.detect(given).p_value, wanted.p_value)
        assert bundle.encode(frame.head(2)).mean.shape == (2, 8)
        assert bundle.score(frame.to_dict("records")[:1]).rate.shape == (1,)
        for given, message in (
            (frame.drop(columns="amount"), "the table lacks the column amount"),
            ([{"amount": 1.0}], "lacks the columns balance, country, new, when"),
            (frame.assign(amount="much"), "column amount holds 'much' in row 0"),
            (frame.head(0), "no observations were given"),
        ):
            with pytest.raises(DataError, match=message):
                bundle.detect(given)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda frame: frame.drop(columns="amount"), "new.csv lacks the column amount$"),
            (lambda frame: frame.rename(columns={"amount": "sum"}), "lacks the column amount; it has others, sum"),
            (lambda frame: frame.assign(more=1), "has the column more, which the model doesn't know: leave it out"),
            (lambda frame: frame.assign(amount="much"), "column amount holds 'much' in row 0, which isn't a number"),
            (lambda frame: frame.assign(new="maybe"), "column new holds 'maybe' in row 0, which isn't a boolean"),
            (lambda frame: frame.assign(when=3.5), "column when holds '3.5' in row 0, which isn't a date"),
            (lambda frame: frame.assign(amount=np.nan), "column amount lacks a value in row 0"),
            (lambda frame: frame.assign(amount=np.inf), "column amount holds infinity"),
            (lambda frame: frame.head(0), "holds no rows"),
        ],
    )  # fmt: skip
    def test_what_score_refuses(self, change, message, table_lane, new):
        change(pd.read_csv(new)).to_csv(new, index=False)
        with pytest.raises(DataError, match=message):
            invoke("score", table_lane.bundle, new)

    def test_what_it_takes(self, table_lane, new, bundle):
        """A category never seen, a column that is missing throughout, and the label."""
        frame = pd.read_csv(new).assign(country="FI", balance=np.nan)
        frame.to_csv(new, index=False)
        assert len(invoke("score", table_lane.bundle, new).splitlines()) == 151

    @pytest.mark.parametrize("command", ["sample", "reconstruct"])
    def test_pictures_are_of_images_alone(self, command, table_lane, new, tmp_path):
        inputs = [new] if command == "reconstruct" else []
        with pytest.raises(OutputError, match=r"must end in \.npy or \.csv"):
            invoke(command, table_lane.bundle, *inputs, "-o", tmp_path / "x.png")
        with pytest.raises(BundleError, match="this wants one of images"):
            invoke("interpolate", table_lane.bundle, new, "-o", tmp_path / "x.png")
        for other in ("morph", "denoise"):
            with pytest.raises(BundleError, match="is a model of rows; this wants one of images or sound"):
                invoke(other, table_lane.bundle, new, "-o", tmp_path / "x.csv")

    def test_a_gap_is_a_gap_in_a_file_of_any_kind(self, table_lane, new, tmp_path):
        frame = pd.read_csv(new)
        frame.loc[[2, 7], "country"] = ""
        frame.to_csv(new, index=False)
        frame.to_parquet(tmp_path / "new.parquet")
        frame.to_json(tmp_path / "new.jsonl", orient="records", lines=True)
        found = invoke("score", table_lane.bundle, new)
        for other in ("new.parquet", "new.jsonl"):
            assert invoke("score", table_lane.bundle, tmp_path / other) == found


def test_a_value_goes_into_the_graphs_less_its_columns_offset_and_comes_out_with_it(bundle, table_lane):
    x = Prepared.open(table_lane.data).test.x[:20].astype(float)
    before, seen = bundle.detect(x).score, bundle.reconstruct(x)
    offsets = np.array([1e8, 0, 0, 0, 20000])
    columns = zip(bundle.spec.columns, offsets, strict=True)
    bundle.spec = dataclasses.replace(bundle.spec, columns=tuple(dataclasses.replace(a, offset=b) for a, b in columns))
    np.testing.assert_array_equal(bundle.detect(x + offsets).score, before)
    np.testing.assert_allclose(bundle.reconstruct(x + offsets) - offsets, seen, atol=1e-6)
    np.testing.assert_array_equal(bundle.answer("reconstruct", {"x": x})["x_mean"], seen)
