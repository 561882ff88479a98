"""The recipe to copy for images serves images of any size, and learns from the few that it comes with."""

import pytest
import torch
from tests.lanes import ROOT, edited, make_job

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.baselines import baseline_elbo, baseline_psnr
from vae_pipeline.metrics.bounds import elbo_terms
from vae_pipeline.metrics.images import fidelity
from vae_pipeline.metrics.latents import latents
from vae_pipeline.models.build import build
from vae_pipeline.recipe import Recipe
from vae_pipeline.stages.prepare import prepare
from vae_pipeline.stages.train import train
from vae_pipeline.training.trained import Trained

IMAGES = Recipe.load(ROOT / "pipeline" / "images.yaml")


@pytest.mark.parametrize(
    ("shape", "features"),  # of the last map, and averages
    [
        ((1, 4, 4), 16 * 4 + 16),
        ((1, 8, 8), 16 * 16 + 64),
        ((1, 28, 20), 16 * 140 + 7 * 6),
        ((3, 28, 28), 32 * 49 + 3 * 49),
        ((3, 96, 96), 64 * 144 + 3 * 64),
    ],
    ids=str,
)
def test_it_fits_images_of_any_size(shape, features):
    model = build(IMAGES.model, ImageSpec(shape, "uint8", 0, 255, False))
    assert model.encoder.features == features
    assert torch.isfinite(model(torch.randint(0, 256, (2, *shape), dtype=torch.uint8)).distortion()).all()


@pytest.mark.slow
def test_it_learns_in_a_fifth_of_its_steps(tmp_path):
    job = make_job("images", edited(IMAGES, train={"steps": 400}), tmp_path / "home")
    prepare(job, tmp_path / "data")
    train(job, tmp_path / "data", tmp_path / "model")
    prepared, model = Prepared.open(tmp_path / "data"), Trained.load(tmp_path / "model").model.eval()
    test, spec, cpu = prepared.test, prepared.spec, torch.device("cpu")
    baseline = baseline_elbo(model.likelihood, prepared.train, test, spec, 0)
    assert elbo_terms(model, test, 0, cpu).elbo.mean() > baseline + 10
    assert fidelity(model, test, 0, cpu).psnr > baseline_psnr(prepared.train, test, spec, model.latents, 0)
    assert latents(model, test, cpu).active_units == model.latents
