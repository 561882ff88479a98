"""Real data sets, found in the mirror that VAE_MIRROR names."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.lanes import ROOT, make_job

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.recipe import Recipe
from vae_pipeline.stages.prepare import prepare

MIRROR = os.environ.get("VAE_MIRROR", "")
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not MIRROR or not Path(MIRROR).is_dir(), reason="VAE_MIRROR names no folder"),
]


def prepare_recipe(recipe, tmp_path):
    prepare(make_job("real", recipe, tmp_path / "home", mirror=MIRROR), tmp_path / "data")
    return Prepared.open(tmp_path / "data")


def prepare_named(name, tmp_path):
    return prepare_recipe(Recipe.load(ROOT / "pipeline" / f"{name}.yaml"), tmp_path)


def test_mnist_is_the_canonical_one(tmp_path):
    prepared = prepare_named("mnist", tmp_path)
    assert (len(prepared.train), len(prepared.valid), len(prepared.test)) == (60000, 0, 10000)
    # Facts that every description of the set gives.
    assert prepared.train.x[:].mean() == pytest.approx(33.3184, abs=1e-4)
    assert prepared.test.x[:].mean() == pytest.approx(33.7912, abs=1e-4)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(prepared.train.labels).tolist() == counts
    assert not prepared.spec.binary
    assert not (tmp_path / "home" / "downloads").exists()


def test_fashion_mnist_keeps_its_test_part(tmp_path):
    prepared = prepare_named("fashion_mnist", tmp_path)
    assert len(prepared.train) + len(prepared.valid) == 60000
    assert len(prepared.valid) == pytest.approx(6000, abs=300)
    assert np.bincount(prepared.test.labels).tolist() == [1000] * 10


@pytest.mark.slow
def test_static_mnist_is_binary(tmp_path):
    prepared = prepare_named("mnist_static", tmp_path)
    assert (len(prepared.train), len(prepared.valid), len(prepared.test)) == (50000, 10000, 10000)
    assert prepared.spec.binary
    assert prepared.spec.classes == ()


def files(name, **parts):
    found = {part: None if keys is None else {"images": keys[0], "labels": keys[1]} for part, keys in parts.items()}
    path = next(Path(MIRROR).rglob(name))
    return {
        part: {
            kind: None if key is None else {"path": str(path), "key": key} for kind, key in keys.items()
        }
        for part, keys in found.items()
    }  # fmt: skip


def test_an_npz_with_three_parts_of_its_own(smoke, tmp_path):
    parts = files(
        "pneumoniamnist.npz",
        train=("train_images", "train_labels"),
        valid=("val_images", "val_labels"),
        test=("test_images", "test_labels"),
    )
    data = {"kind": "arrays", "shape": [1, 28, 28], "range": [0, 255], **parts}
    prepared = prepare_recipe(Recipe.model_validate({**smoke.model_dump(mode="json"), "data": data}), tmp_path)
    assert (len(prepared.train), len(prepared.valid), len(prepared.test)) == (4708, 524, 624)
    assert np.bincount(prepared.test.labels).tolist() == [234, 390]


@pytest.mark.parametrize(
    ("name", "rows", "tested"),
    [
        ("breast", (545, 78, 156), [42, 114]),  # one of 546 is in the test part too
        ("pneumonia", (4682, 524, 624), [234, 390]),  # of 4,708 18 are there twice, and 8 in the validation part
        ("retina", (1080, 120, 400), [174, 46, 92, 68, 20]),
    ],
)
def test_sets_of_medmnist_have_their_official_parts(name, rows, tested, tmp_path):
    prepared = prepare_named(name, tmp_path)
    assert (len(prepared.train), len(prepared.valid), len(prepared.test)) == rows
    assert list(prepared.card["classes"]["test"].values()) == tested


def test_an_npz_of_oblong_images(smoke, tmp_path):
    data = {"kind": "arrays", "shape": [1, 28, 20], "range": [0, 255], "valid": 0.1, "test": 0.1}
    data |= files("freyfaces.npz", train=("images", None))
    prepared = prepare_recipe(Recipe.model_validate({**smoke.model_dump(mode="json"), "data": data}), tmp_path)
    assert len(prepared.train) + len(prepared.valid) + len(prepared.test) == 1965
    assert prepared.card["observed"]["train"]["min"] >= 8


def test_magnetic_tiles_are_split_by_class_with_their_masks(tmp_path):
    values = Recipe.load(ROOT / "pipeline" / "defects.yaml").model_dump(mode="json")
    values["data"]["train"] = f"{MIRROR}/defects/magnetic_tile_subset.tar"
    prepared = prepare_recipe(Recipe.model_validate(values), tmp_path)
    assert prepared.spec.classes == ("MT_Free", "MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven")
    assert np.bincount(prepared.test.labels)[1:].tolist() == [40, 40, 40, 32, 40]
    normal = prepared.test.labels == 0
    assert len(prepared.train) + len(prepared.valid) + normal.sum() == 300
    marked = prepared.test.masks[:].any(axis=(1, 2))
    assert not marked[normal].any()
    assert (~marked[~normal]).sum() == 1  # one tile is uneven throughout, and its mask empty


def test_defects_are_drawn_on_half_of_mnists_test_part(tmp_path):
    prepared, plain = prepare_named("mnist_defects", tmp_path), prepare_named("mnist", tmp_path / "plain")
    assert (len(prepared.train) + len(prepared.valid), len(prepared.test)) == (60000, 10000)
    assert (prepared.test.labels > 0).mean() == pytest.approx(0.5, abs=0.015)
    assert ((prepared.test.x[:] != plain.test.x[:])[:, 0] == prepared.test.masks[:]).all()


@pytest.mark.parametrize(("name", "rows", "anomalies"), [("shuttle", 49097, 3511), ("cardio", 1831, 176)])
def test_adbench_sets_are_whole(name, rows, anomalies, tmp_path):
    prepared = prepare_named(name, tmp_path)
    assert len(prepared.train) + len(prepared.valid) + len(prepared.test) == rows
    assert prepared.test.labels.sum() == anomalies and prepared.train.labels.sum() == 0


def test_fraud_reads_the_part_of_its_set_that_the_mirror_has(tmp_path):
    values = Recipe.load(ROOT / "pipeline" / "fraud.yaml").model_dump(mode="json")
    values["data"]["file"] = {"path": f"{MIRROR}/creditcard/creditcard_partial.npz"}
    values["data"]["label"]["column"] = "y"
    prepared = prepare_recipe(Recipe.model_validate(values), tmp_path)
    assert [column.name for column in prepared.spec.columns] == [*(f"V{index}" for index in range(1, 29)), "Amount"]
    assert prepared.test.labels.sum() == 492
