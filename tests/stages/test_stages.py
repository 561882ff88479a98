import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from tests.evaluation.report.test_page import Reader
from tests.lanes import ROOT, WAIVED, edited, make_job

from vae_pipeline.bundles.export.card import model_card
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.export import export
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.train import train
from vae_pipeline.system.errors import DataError, GateError, OutputError, TrainingError
from vae_pipeline.training.trained import Trained, read_history


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def metrics(lane):
    return json.loads((lane.report / "metrics.json").read_text())


def test_training_again_gives_the_same_bytes(lane, smoke, tmp_path, wide):
    report = train(make_job("smoke", smoke, tmp_path), lane.data, tmp_path / "model")
    assert snapshot(tmp_path / "model") == snapshot(lane.model)
    assert report.weights_sha256 == sha256(lane.model / "weights.safetensors")


def test_preparing_and_evaluating_again_give_the_same_bytes(lane, smoke, tmp_path, wide):
    prepare(make_job("smoke", smoke, tmp_path), tmp_path / "data")
    assert snapshot(tmp_path / "data") == snapshot(lane.data)
    evaluate(make_job("smoke", smoke, tmp_path), lane.data, lane.model, tmp_path / "report")
    assert snapshot(tmp_path / "report") == snapshot(lane.report)


def test_another_seed_gives_other_weights(lane, smoke, tmp_path):
    job = make_job("smoke", smoke, tmp_path)
    other = type(job)(job.name, job.recipe, 1, job.settings, job.console)
    assert train(other, lane.data, tmp_path / "model").weights_sha256 != sha256(lane.model / "weights.safetensors")


class TestMetrics:
    def test_the_parts_fit_together(self, metrics, lane):
        assert metrics["elbo"] == pytest.approx(-(metrics["distortion"] + metrics["rate"]))
        assert metrics["rate"] == pytest.approx(sum(metrics["rate_per_dimension"].values()))
        assert metrics["importance_bound"] > metrics["elbo"]
        assert metrics["entropy_floor"] < -metrics["baseline_elbo"]
        assert metrics["importance_bounds"]["50"] == metrics["importance_bound"]
        parts = ("mutual_information", "total_correlation", "dimensionwise_kl")
        assert metrics["rate"] == pytest.approx(sum(metrics[part] for part in parts))
        assert 0 < metrics["mutual_information"] < metrics["mutual_information_cap"] - 1
        assert "aggregate_kl" not in metrics["left_out"]
        error = metrics["aggregate_kl_lower_bound_standard_error"]
        assert metrics["aggregate_kl_lower_bound"] < metrics["aggregate_kl"] + 3 * error
        assert metrics["mutual_information_cap"] == pytest.approx(np.log(metrics["test_examples"]))
        assert metrics["mse"] < metrics["mse_of_sample"]
        assert (
            metrics["test_examples"]
            == metrics["importance_examples"]
            == metrics["aggregate_examples"]
            == len(Prepared.open(lane.data).test)
        )
        assert metrics["active_units"] == 2
        assert 0 < metrics["ssim"] < 1

    def test_grey_pixels_under_bernoulli_are_no_likelihood(self, metrics):
        assert metrics["measure"] == "cross_entropy"
        assert 0 < metrics["entropy_floor"] < metrics["distortion"]
        assert not [name for name in metrics if "likelihood" in name or "bits" in name]

    def test_a_density_has_no_bits(self, conditional_lane):
        metrics = json.loads((conditional_lane.report / "metrics.json").read_text())
        assert metrics["measure"] == "density"
        scale = Trained.load(conditional_lane.model).model.likelihood.scale.item()
        assert metrics["scale"] == pytest.approx(scale)
        assert "bits_per_dimension" not in metrics and "entropy_floor" not in metrics

    def test_binary_data_have_bits(self, smoke, tmp_path):
        images = (np.random.default_rng(0).random((60, 4, 4)) < 0.3).astype(np.uint8)
        np.savez(tmp_path / "binary.npz", images=images)
        part = {"images": {"path": str(tmp_path / "binary.npz")}, "labels": None}
        data = {"kind": "arrays", "shape": [1, 4, 4], "range": [0, 1], "train": part, "valid": 0.2, "test": 0.2}
        recipe = type(smoke).model_validate({**edited(smoke, evaluate=WAIVED).model_dump(mode="json"), "data": data})
        job = make_job("binary", recipe, tmp_path / "home")
        prepare(job, tmp_path / "data")
        train(job, tmp_path / "data", tmp_path / "model")
        found = evaluate(job, tmp_path / "data", tmp_path / "model", tmp_path / "report")
        assert found["measure"] == "mass"
        assert found["bits_per_dimension"] == pytest.approx(-found["elbo"] / (16 * np.log(2)))
        trained = Trained.load(tmp_path / "model")
        card = Prepared.open(tmp_path / "data").card
        text = model_card("binary", trained.recipe, recipe.export, trained.spec, card, found, trained.weights_sha256)
        assert f"| Bits per dimension (bits) | {found['bits_per_dimension']:.4g} |" in text

    def test_pictures_and_data_for_plots(self, lane, conditional_lane):
        names = {path.name for path in (lane.report / "plots").iterdir()}
        assert names == {
            "closest.png", "curves.png", "latents.png", "manifold.png", "rate_per_dimension.png", "reconstructions.png",
            "samples.png",
        }  # fmt: skip
        assert "traversals.png" in {path.name for path in (conditional_lane.report / "plots").iterdir()}
        for path in (lane.report / "plots").iterdir():
            with Image.open(path) as picture:
                assert min(picture.size) > 200
                assert len(picture.convert("L").getcolors()) > 2
        with (lane.report / "rates.csv").open() as file:
            assert [row["dimension"] for row in csv.DictReader(file)] == ["0", "1"]
        with (lane.report / "curves.csv").open() as file:
            drawn = [float(row["elbo"]) for row in csv.DictReader(file)]
        assert drawn == [row["valid_elbo"] for row in read_history(lane.model / "history.csv")]

    @pytest.mark.parametrize("latents", [1, 12])
    def test_other_numbers_of_latents(self, latents, smoke, lane, tmp_path):
        model = {"posterior": {"kind": "gaussian", "latents": latents}}
        recipe = edited(smoke, model=model, train={"epochs": 1}, evaluate={"samples": 2, **WAIVED})
        job = make_job("other", recipe, tmp_path)
        train(job, lane.data, tmp_path / "model")
        found = evaluate(job, lane.data, tmp_path / "model", tmp_path / "report")
        assert found["latents"] == latents
        assert (tmp_path / "report" / "plots" / "traversals.png").is_file()


def test_a_failed_gate_names_figure_and_bound_after_the_report(smoke, lane, metrics, tmp_path):
    bounds = {
        "elbo": {"min": -1.5}, "rate": {"max": 0.1}, "bits_per_dimension": {"max": 1},
        "active_units": {"min": 2, "max": 2},
    }  # fmt: skip
    recipe = edited(smoke, evaluate={"gates": bounds})
    with pytest.raises(GateError, match=r"the report is .*index\.html") as failed:
        evaluate(make_job("smoke", recipe, tmp_path), lane.data, lane.model, tmp_path / "report")
    assert f"elbo is {metrics['elbo']:.6g}, under its min of -1.5" in str(failed.value)
    assert f"rate is {metrics['rate']:.6g}, over its max of 0.1" in str(failed.value)
    assert "bits_per_dimension isn't measured" in str(failed.value)
    written = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert written["failed_gates"] == ["elbo", "rate", "bits_per_dimension"]  # that of active units is kept
    assert {**written, "failed_gates": [], "gates_said": {}} == {**metrics, "gates_said": {}}
    words = Reader((tmp_path / "report" / "index.html").read_text()).words()
    places = [words.index(text) for text in ("under its min of -1.5", "Trained on", "Headline figures")]
    assert places == sorted(places) and places[-1] < words.index("max 2: kept")


class TestNothingIsLost:
    @pytest.fixture
    def out(self, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "spec.json").write_text("kept")
        yield tmp_path / "out"
        assert snapshot(tmp_path / "out") == {"spec.json": b"kept"}
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]

    def test_a_source_that_fails(self, smoke, out, tmp_path):
        data = {"kind": "folder", "shape": [1, 8, 8], "resize": "none", "labels": "none", "corrupt": "fail",
                "train": str(tmp_path / "none"), "valid": 0.1, "test": 0.1}  # fmt: skip
        recipe = type(smoke).model_validate({**edited(smoke, evaluate=WAIVED).model_dump(mode="json"), "data": data})
        with pytest.raises(DataError):
            prepare(make_job("smoke", recipe, tmp_path / "home"), out)

    def test_a_training_that_fails(self, smoke, lane, out, tmp_path):
        recipe = edited(smoke, train={"learning_rate": 1e30})
        with pytest.raises(TrainingError):
            train(make_job("smoke", recipe, tmp_path / "home"), lane.data, out)

    def test_data_that_are_not_prepared(self, smoke, lane, out, tmp_path):
        job = make_job("smoke", smoke, tmp_path / "home")
        (tmp_path / "empty").mkdir()
        for stage in (
            lambda: train(job, tmp_path / "empty", out),
            lambda: evaluate(job, tmp_path / "empty", lane.model, out),
            lambda: export(job, lane.data, lane.model, tmp_path / "empty", out),
        ):
            with pytest.raises(DataError, match=r"isn't there: run `vae-pipeline (prepare|eval)` first"):
                stage()
        with pytest.raises(DataError, match=r"digests\.json isn't there, .*: run `vae-pipeline train` again"):
            evaluate(job, lane.data, tmp_path / "empty", out)

    def test_a_model_of_other_data(self, smoke, conditional_lane, lane, out, tmp_path):
        recipe = edited(smoke, data={"side": 10})
        job = make_job("smoke", recipe, tmp_path / "home")
        prepare(job, tmp_path / "data")
        with pytest.raises(DataError, match="trained on data of another spec"):
            evaluate(job, tmp_path / "data", lane.model, out)

    def test_a_file_in_the_way(self, smoke, lane, tmp_path):
        (tmp_path / "file").write_text("kept")
        with pytest.raises(OutputError, match="is a file, but a folder is to be written there"):
            train(make_job("smoke", smoke, tmp_path / "home"), lane.data, tmp_path / "file")
        assert (tmp_path / "file").read_text() == "kept"


def cli(*arguments, **environment):
    env = {**os.environ, "VAE_MLFLOW_URI": "off", "VAE_THREADS": "2", **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "vae_pipeline", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip


@pytest.fixture(scope="module")
def long_recipe(tmp_path_factory):
    """Smoke, made long enough to be killed."""
    text = (ROOT / "pipeline" / "smoke.yaml").read_text().replace("epochs: 5", "epochs: 150")
    path = tmp_path_factory.mktemp("long") / "smoke.yaml"
    path.write_text(text)
    return path


def wait_for_checkpoint(home, process):
    deadline = time.monotonic() + 60
    while not list(home.glob("checkpoints/*/*.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_at_random_and_taken_up_the_weights_are_the_same(long_recipe, lane, tmp_path):
    home = tmp_path / "home"
    arguments = ["train", long_recipe, "--data", lane.data]
    whole = cli(*arguments, "--out", tmp_path / "whole", VAE_HOME=str(tmp_path / "other"))
    assert whole.wait(timeout=120) == 0, whole.communicate()
    whole.communicate()
    draw = random.Random(0)
    kills = 0
    for _ in range(2):
        process = cli(*arguments, "--out", tmp_path / "killed", VAE_HOME=str(home), VAE_CHECKPOINT_S="0.02")
        wait_for_checkpoint(home, process)
        time.sleep(draw.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills >= 1
    last = cli(*arguments, "--out", tmp_path / "killed", VAE_HOME=str(home))
    output, errors = last.communicate(timeout=120)
    assert last.returncode == 0, errors
    assert "going on from step" in output
    assert snapshot(tmp_path / "killed") == snapshot(tmp_path / "whole")
    assert not list(home.glob("checkpoints/*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_a_checkpoint(number, long_recipe, lane, tmp_path):
    home = tmp_path / "home"
    arguments = ["train", long_recipe, "--data", lane.data, "--out", tmp_path / "out"]
    process = cli(*arguments, VAE_HOME=str(home), VAE_CHECKPOINT_S="0.02")
    wait_for_checkpoint(home, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.startswith(f"vae-pipeline: {number.name} at step ")
    assert "the same command goes on from there" in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert list(home.glob("checkpoints/*/*.safetensors"))


def test_a_trained_folder_that_was_altered(lane, tmp_path):
    import shutil

    copy = shutil.copytree(lane.model, tmp_path / "model")
    (copy / "history.csv").unlink()
    with pytest.raises(DataError, match=r"history\.csv isn't there: run `vae-pipeline train` again"):
        Trained.load(copy)
