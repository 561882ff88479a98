import csv
import json
import os
import signal
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import multivariate_normal
from tests.lanes import ROOT, edited, make_job
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.metrics.usage import mutual_information
from vae_pipeline.models.gaussian import DiagonalGaussian
from vae_pipeline.stages import rate_distortion as module
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.rate_distortion import controls_of, rate_distortion
from vae_pipeline.system.errors import DataError, Interrupted, RecipeError
from vae_pipeline.training.trained import Trained

COLUMNS = ["beta", "target_rate", "rate", "distortion", "elbo", "active_units", "mutual_information"]


@pytest.fixture(scope="module")
def learning(smoke):
    return edited(smoke, train={"epochs": 30, "learning_rate": 0.02})


@pytest.fixture(scope="module")
def swept(learning, prepared, tmp_path_factory):
    """The folder of a sweep."""
    folder = tmp_path_factory.mktemp("swept")
    job = make_job("bars", learning, folder / "home")
    rate_distortion(job, prepared.folder, folder / "curve", controls_of("30,0.01,2", None), epochs=15)
    assert not list((folder / "home").glob("sweeps/*"))
    return folder / "curve"


@pytest.fixture(scope="module")
def rows(swept):
    with (swept / "curve.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_dearer_rate_is_lower_and_the_distortion_higher(rows):
    assert list(rows[0]) == COLUMNS
    assert [float(row["beta"]) for row in rows] == [0.01, 2, 30]
    rate, distortion, elbo = (np.array([float(row[name]) for row in rows]) for name in ("rate", "distortion", "elbo"))
    assert (np.diff(rate) < -1).all()
    assert (np.diff(distortion) > 1).all()
    np.testing.assert_allclose(elbo, -rate - distortion)
    assert [row["target_rate"] for row in rows] == [""] * 3


def test_information_is_under_the_rate_and_gone_where_the_rate_is(rows, prepared):
    for row in rows:
        assert float(row["mutual_information"]) < min(float(row["rate"]), np.log(len(prepared.valid))) + 0.1
    assert float(rows[1]["mutual_information"]) > 1
    assert float(rows[2]["rate"]) < 0.1


def test_the_files_agree(swept, rows, prepared):
    curve = json.loads((swept / "curve.json").read_text())
    assert [str(point["rate"]) for point in curve["points"]] == [row["rate"] for row in rows]
    assert curve["validation_examples"] == len(prepared.valid)
    assert 0 < curve["distortion_floor"] < min(point["distortion"] for point in curve["points"])
    with Image.open(swept / "curve.png") as picture:
        assert min(picture.size) > 500
    text = ET.parse(swept / "curve.svg")
    assert text.getroot().tag.endswith("svg")


def test_targets_are_reached_from_the_highest_on(learning, prepared, tmp_path):
    job = make_job("bars", learning, tmp_path / "home")
    points = rate_distortion(job, prepared.folder, tmp_path / "curve", controls_of(None, "2,4"), epochs=25)
    assert [point.target_rate for point in points] == [4, 2]
    assert [point.rate for point in points] == pytest.approx([4, 2], rel=0.25)
    assert points[0].beta < points[1].beta


def test_each_point_goes_on_from_the_one_before(learning, prepared, tmp_path, monkeypatch):
    started = []
    original = module.train

    def train(job, data, out, start):
        started.append((job.name, job.recipe.train.epochs, start and start.parent.name))
        return original(job, data, out, start)

    monkeypatch.setattr(module, "train", train)
    job = make_job("bars", edited(learning, train={"epochs": 6}), tmp_path / "home")
    rate_distortion(job, prepared.folder, tmp_path / "curve", controls_of("1,2,3", None))
    assert started == [("bars beta 1", 6, None), ("bars beta 2", 1, "0"), ("bars beta 3", 1, "1")]


def test_an_interruption_leaves_nothing_and_the_same_command_goes_on(learning, prepared, tmp_path, monkeypatch):
    from vae_pipeline.stages import display as training

    job = make_job("bars", edited(learning, train={"epochs": 4}), tmp_path / "home")
    controls = controls_of("1,2", None)
    whole = rate_distortion(
        make_job("bars", job.recipe, tmp_path / "other"), prepared.folder, tmp_path / "whole", controls
    )
    original, trained = training.Display.step, []

    def interrupt(self, step):
        original(self, step)
        trained.append((self.name, step.step))
        if trained[-1] == ("bars beta 2", 3):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training.Display, "step", interrupt)
    with pytest.raises(Interrupted, match=r"SIGINT at step [34] of 7; .* the same command goes on"):
        rate_distortion(job, prepared.folder, tmp_path / "curve", controls)
    assert not (tmp_path / "curve").exists()
    assert not list(tmp_path.glob(".curve*"))
    done = len(trained)
    monkeypatch.setattr(training.Display, "step", original)
    monkeypatch.setattr(training.Display, "step", lambda self, step: trained.append((self.name, step.step)))
    assert rate_distortion(job, prepared.folder, tmp_path / "curve", controls) == whole
    assert trained[done][0] == "bars beta 2" and trained[done][1] > 3
    for name in ("curve.csv", "curve.json", "curve.png", "curve.svg"):
        assert (tmp_path / "curve" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_points_are_measured_as_training_validates(learning, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "rmtree", lambda *_, **__: None)
    job = make_job("bars", edited(learning, train={"epochs": 2}), tmp_path / "home")
    (point,) = rate_distortion(job, prepared.folder, tmp_path / "curve", controls_of("2", None))
    (folder,) = (tmp_path / "home").glob("sweeps/*/0")
    trained = Trained.load(folder)
    assert trained.history[-1]["kept"] == 1
    assert point.rate == pytest.approx(trained.history[-1]["valid_rate"])
    assert point.distortion == pytest.approx(trained.history[-1]["valid_distortion"], rel=0.1)


def test_mutual_information_of_gaussians_is_the_closed_form():
    """z = x + noise with x of N(0, C): I = 1/2 log |C + S| / |S|."""
    covariance, variance = np.array([[2.0, 0.6], [0.6, 0.5]]), np.array([0.3, 0.8])
    x = multivariate_normal(cov=covariance).rvs(4_000, random_state=0)
    torch.manual_seed(0)
    q = DiagonalGaussian(torch.from_numpy(x), torch.from_numpy(np.log(variance)).expand(len(x), 2))
    noisy = covariance + np.diag(variance)
    wanted = 0.5 * (np.linalg.slogdet(noisy)[1] - np.log(variance).sum())
    assert mutual_information(q).item() == pytest.approx(wanted, abs=0.05)


def test_without_a_validation_part(smoke, tmp_path):
    recipe = edited(smoke, data={"valid": 0.0}, train={"keep": "last"})
    job = make_job("bars", recipe, tmp_path / "home")
    prepare(job, tmp_path / "data")
    with pytest.raises(DataError, match=r"no validation part.*set the recipe's data\.valid"):
        rate_distortion(job, tmp_path / "data", tmp_path / "curve", controls_of(None, None))
    assert not (tmp_path / "curve").exists()


@pytest.mark.parametrize(
    ("betas", "rates", "message"),
    [
        ("1,two", None, "--betas 1,two: give numbers with commas between them, such as 0.1"),
        ("", None, "--betas : give numbers"),
        ("-1,2", None, "none negative"),
        ("1,nan", None, "must be finite"),
        ("1,1.0", None, "given twice"),
        (None, "0,2", "a target must be over 0"),
        ("1", "2", "--betas and --rates are both given"),
    ],
)
def test_a_mistake_in_the_points_is_one_clear_line(betas, rates, message):
    with pytest.raises(RecipeError, match=message):
        controls_of(betas, rates)


def test_the_command(prepared, tmp_path):
    arguments = ["rate-distortion", ROOT / "pipeline" / "smoke.yaml", "--data", prepared.folder, "--out"]
    arguments = [str(argument) for argument in [*arguments, tmp_path / "curve"]]
    bad = CliRunner().invoke(app, [*arguments, "--betas", "1,x"]).exception
    assert isinstance(bad, RecipeError) and bad.exit_code == 2
    done = CliRunner().invoke(app, [*arguments, "--betas", "1,5"])
    assert "smoke: 2 points, the highest ELBO is " in done.output
    files = ["curve.csv", "curve.json", "curve.png", "curve.svg"]
    assert sorted(path.name for path in (tmp_path / "curve").iterdir()) == files
