"""Images with drawn defects through all stages."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from tests.lanes import WAIVED, Lane, edited, make_job, run_lane

from vae_pipeline.evaluation.report.words import _detection
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.detection import NORMAL
from vae_pipeline.recipe import Recipe
from vae_pipeline.runtime import Bundle
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recipe(smoke) -> Recipe:
    images = {"kind": "digits", "valid": 0.1, "test": 0.3}
    data = {"kind": "drawn_defects", "images": images, "defects": ["stripe", "blob", "missing"], "share": 0.5}
    values = edited(
        smoke, train={"epochs": 10}, model={"posterior": {"kind": "gaussian", "latents": 4}}, evaluate=WAIVED
    )
    return Recipe.model_validate({**values.model_dump(mode="json"), "data": data})


@pytest.fixture(scope="module")
def defect_lane(recipe, tmp_path_factory) -> Lane:
    folder = tmp_path_factory.mktemp("defects")
    return run_lane(make_job("defects", recipe, folder / "home"), folder)


@pytest.fixture
def metrics(defect_lane):
    return json.loads((defect_lane.report / "metrics.json").read_text())


def test_defects_are_found_and_located(metrics):
    assert metrics["heat_auroc"] > 0.8 and metrics["pixel_auroc"] > 0.8
    assert set(metrics["auroc_by_kind"]) == {"stripe", "blob", "missing"}
    for name in ("auroc", "heat_auroc", "pixel_auroc"):
        for other in ("pca", "knn"):
            assert 0.5 < metrics[f"{other}_{name}"] <= 1


def test_the_bounds_are_of_normal_images(metrics, defect_lane):
    test = Prepared.open(defect_lane.data).test
    assert metrics["test_examples"] == (test.labels == NORMAL).sum()
    assert metrics["anomalies"] == (test.labels != NORMAL).sum()
    assert metrics["elbo"] > metrics["baseline_elbo"]


def test_the_score_is_the_bundles(metrics, defect_lane):
    test = Prepared.open(defect_lane.data).test
    score = Bundle.load(defect_lane.bundle).detect(test.x[:]).score
    assert roc_auc_score(test.labels != NORMAL, score) == pytest.approx(metrics["auroc"], abs=1e-6)


def test_the_page_shows_them(metrics, defect_lane):
    text = (defect_lane.report / "index.html").read_text(encoding="utf-8")
    words = " ".join(re.sub("<[^>]*>", " ", text[text.index("<main>") :]).split())
    assert "normal grey images of 8 × 8 pixels" in words
    assert "AUROC of pixels" in words and "missing alone" in words
    assert not re.search(r"(test|training|normal) rows?\b", words)  # as of a table
    for name in ("heat_auroc", "pixel_auroc", "pca_pixel_auroc", "knn_auroc"):
        assert f'value="{metrics[name]!r}"' in text


def test_of_features_defects_are_found_and_no_image_is_asked_for(recipe, defect_lane, tmp_path):
    net = {"kind": "dense", "layers": [16], "activation": "silu", "shortcut": True}
    model = {
        "view": {"kind": "hog", "cell": 2},
        "encoder": net,
        "decoder": net,
        "likelihood": {"kind": "gaussian", "scale": "learned_per_value", "mean": "linear"},
    }
    job = make_job("features", edited(recipe, model=model, train={"epochs": 2}), tmp_path / "home")
    train(job, defect_lane.data, tmp_path / "model")
    found = evaluate(job, defect_lane.data, tmp_path / "model", tmp_path / "report")
    assert found["auroc"] > 0.6 and 0.5 < found["pixel_auroc"] <= 1 and 0 < found["aupro"] <= 1
    assert found["elbo"] > found["baseline_elbo"] and found["pca_auroc"] > 0.6
    assert not {"psnr", "frechet_samples", "ssim", "baseline_psnr"} & set(found)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "log-density of standardised features" in page and "What it generates" not in page
    assert 'alt="Test images, the masks of their defects, and their heat maps."' in page


@pytest.mark.parametrize(("other", "said"), [(0.9, True), (0.7, False)])
def test_the_page_says_where_a_simpler_detector_does_better(other, said):
    found = {"anomalies": 5, "auroc": 0.8, "recall_at_fpr_0.01": 0.5, "pixel_auroc": 0.8}
    words = re.sub("<[^>]*>", "", _detection({**found, "pca_auroc": other, "knn_pixel_auroc": other}, "images"))
    better = "principal components by AUROC; the nearest training images by AUROC of pixels."
    assert words.endswith(f"A simpler detector does better: {better}") == said
    assert ("simpler" in words) == said


def test_the_picture_has_a_column_of_each_kind_and_rows_of_image_mask_and_heat(defect_lane):
    with Image.open(defect_lane.report / "plots" / "heat_maps.png") as picture:
        pixels = np.asarray(picture.convert("RGB"), int)
    colourful = np.ptp(pixels, axis=2) > 40
    rows = np.flatnonzero(colourful.mean(axis=1) > 0.2)
    assert rows.min() > 0.6 * len(pixels)  # the heat maps alone, in the lowest third


def test_again_it_has_the_same_bytes(recipe, defect_lane, tmp_path):
    job = make_job("defects", recipe, defect_lane.data.parent / "home")
    evaluate(job, defect_lane.data, defect_lane.model, tmp_path / "report")
    for path in defect_lane.report.rglob("*"):
        if path.is_file():
            assert (tmp_path / "report" / path.relative_to(defect_lane.report)).read_bytes() == path.read_bytes(), path
