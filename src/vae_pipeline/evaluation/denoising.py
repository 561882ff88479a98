"""A report's part on denoising: how near the answers are, how sure, and pictures of both."""

from pathlib import Path
from typing import Any

import torch

from vae_pipeline.evaluation import plots
from vae_pipeline.kinds.image.pictures import to_pixels
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.denoising import denoising, fit_denoiser
from vae_pipeline.metrics.parts import read, subset
from vae_pipeline.models.denoiser import Denoiser
from vae_pipeline.training.trained import Trained

SHOWN = 20


@torch.inference_mode()
def describe(trained: Trained, prepared: Prepared, spec: ImageSpec, seed: int, folder: Path) -> dict[str, Any]:
    """Draw into `folder`; returns the figures, none where the recipe has no section, or nothing to calibrate by."""
    section, device = trained.recipe.train.denoise, next(trained.model.parameters()).device
    denoiser = fit_denoiser(trained.model, section, prepared, seed, device)
    if section is None or not isinstance(denoiser, Denoiser):
        return {}
    rows = read(subset(prepared.test, SHOWN, seed), slice(None), device)
    with evaluating(trained.model):
        clean, low, high = denoiser(rows.x, rows.label)
    shown = (to_pixels(each.cpu().numpy(), spec.low, spec.high) for each in (rows.original, rows.x, clean))
    width = to_pixels((high - low).cpu().numpy(), 0, spec.unit)
    plots.stacked(folder / "denoised.png", (*shown, width))
    return denoising(denoiser, section, prepared.test, seed, device)
