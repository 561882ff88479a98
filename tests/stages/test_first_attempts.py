"""The recipe to copy for images serves images of any size, and learns from the few that it comes with."""

import json

import pytest
import torch
from tests.lanes import ROOT, edited, make_job

from vae_pipeline.models.build import build
from vae_pipeline.recipe import Recipe
from vae_pipeline.spec import ImageSpec
from vae_pipeline.stages.evaluate import evaluate
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.train import train

IMAGES = Recipe.load(ROOT / "pipeline" / "images.yaml")


@pytest.mark.parametrize(
    ("shape", "features"),
    [
        ((1, 4, 4), 16 * 4),
        ((1, 8, 8), 16 * 16),
        ((1, 28, 20), 16 * 140),
        ((3, 28, 28), 32 * 49),
        ((3, 96, 96), 64 * 144),
    ],
    ids=str,
)
def test_it_fits_images_of_any_size(shape, features):
    model = build(IMAGES.model, ImageSpec(shape, "uint8", 0, 255, False))
    assert model.encoder.features == features
    assert torch.isfinite(model(torch.randint(0, 256, (2, *shape), dtype=torch.uint8)).distortion()).all()


@pytest.mark.slow
def test_it_learns_in_a_fifth_of_its_steps(tmp_path):
    short = edited(IMAGES, train={"steps": 400}, evaluate={"samples": 10, "examples": 50})
    job = make_job("images", short, tmp_path / "home")
    prepare(job, tmp_path / "data")
    train(job, tmp_path / "data", tmp_path / "model")
    evaluate(job, tmp_path / "data", tmp_path / "model", tmp_path / "report")
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert metrics["elbo"] > metrics["baseline_elbo"] + 10
    assert metrics["psnr"] > metrics["baseline_psnr"]
    assert metrics["active_units"] == metrics["latents"] and metrics["failed_gates"] == []
