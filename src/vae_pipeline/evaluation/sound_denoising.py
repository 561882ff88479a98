"""A report's part on denoising sound: how near the answers are, how sure, and recordings to hear."""

from pathlib import Path
from typing import Any

import torch

from vae_pipeline.evaluation.audio import show
from vae_pipeline.kinds.spec import AudioSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.denoising import fit_denoiser
from vae_pipeline.metrics.parts import read, subset
from vae_pipeline.metrics.sound_denoising import sound_denoising
from vae_pipeline.models.sound.denoiser import SoundDenoiser
from vae_pipeline.training.trained import Trained

SHOWN = 6


@torch.inference_mode()
def describe(trained: Trained, prepared: Prepared, spec: AudioSpec, seed: int, folder: Path) -> dict[str, Any]:
    """Draw into `folder`, and put sound there; returns the figures, none where there is nothing to calibrate by."""
    section, device = trained.recipe.train.denoise, next(trained.model.parameters()).device
    denoiser = fit_denoiser(trained.model, section, prepared, seed, device)
    if section is None or not isinstance(denoiser, SoundDenoiser):
        return {}
    rows = read(subset(prepared.test, SHOWN, seed), slice(None), device)
    with evaluating(trained.model):
        clean = denoiser(rows.x).clean
    show(folder, "denoised", torch.cat([rows.x, clean, rows.original]), spec, len(rows.x))
    return sound_denoising(denoiser, section, prepared.test, spec, seed, device)
