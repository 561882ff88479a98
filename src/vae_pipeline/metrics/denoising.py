"""Denoisers calibrated on held-back images, and how near and how sure their answers are."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.images import psnr, structural_similarity
from vae_pipeline.metrics.parts import at_once, batches, subset
from vae_pipeline.metrics.sound_denoising import calibrated_sound
from vae_pipeline.models.denoiser import Denoiser
from vae_pipeline.models.frames import FramesVAE
from vae_pipeline.models.intervals import fitted
from vae_pipeline.models.sound.denoiser import SoundDenoiser
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe.corruption import GaussianNoise
from vae_pipeline.recipe.denoise import Denoise
from vae_pipeline.runtime.denoising_entry import noise_of

CALIBRATED, MEASURED = 2_000, 1_000
"""Images at most that set the intervals; by which an answer is judged, at each level."""
VALUES = 2**24  # of the ratios that are held at once
ROWS = 1024  # draws decoded at a time, at most
Array = npt.NDArray[np.float64]


def calibrated_on(held_back: Split) -> int:
    """The number of images that intervals are set by."""
    return min(CALIBRATED, len(held_back), max(1, VALUES // math.prod(held_back.x.shape[1:])))


@torch.no_grad()  # and not inference_mode: an exporter traces what is kept here
def fit_denoiser(
    model: VAE, denoise: Denoise | None, prepared: Prepared, seed: int, device: torch.device
) -> Denoiser | SoundDenoiser | None:
    """A denoiser whose intervals are calibrated on the validation part; None where either is absent."""
    if denoise is None or not len(prepared.valid):
        return None
    held_back = subset(prepared.valid, calibrated_on(prepared.valid), seed)
    if isinstance(model, FramesVAE):
        return calibrated_sound(model, denoise, held_back, device)
    drawn = [torch.from_numpy(noise_of(draw, model.latent_shape)).flatten() for draw in range(denoise.draws)]
    noise = torch.stack(drawn) if drawn else torch.zeros(1, model.latents)
    denoiser = Denoiser(model, noise, denoise.mode == "supervised").to(device)
    found = [((clean - mean).abs(), deviation) for clean, mean, deviation in _estimates(denoiser, held_back, device)]
    away, deviation = (torch.cat(parts).flatten(1).cpu() for parts in zip(*found, strict=True))
    denoiser.intervals = fitted(away, deviation, denoise.coverage).to(device)
    return denoiser


def _estimates(denoiser: Denoiser, split: Split, device: torch.device) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Clean values on [0, 1], what they are taken for, and the deviation of that; some images at a time."""
    rows_at_once = max(1, at_once(split, ROWS) // len(denoiser.noise))
    with evaluating(denoiser.model):
        for rows in batches(split, device, "denoising", rows_at_once):
            yield denoiser.model.scaling(rows.original), *denoiser.estimate(rows.x, rows.label)


@dataclass(frozen=True)
class Answers:
    """A denoiser on some images; averages over them."""

    psnr: float
    """dB; the average of each image's own, on values clipped to [0, 1]."""
    ssim: float
    coverage: float
    """Share of the clean values that lie in their intervals."""
    width: float
    """Mean width of the intervals, on values scaled to [0, 1]."""
    coverage_of_unsure: float
    """The coverage of the tenth of each image's values whose intervals are the widest."""


@torch.inference_mode()
def answers(denoiser: Denoiser, split: Split, device: torch.device) -> Answers:
    """Judge the denoiser by the clean images of a part."""
    found: list[Array] = []
    for clean, mean, deviation in _estimates(denoiser, split, device):
        around = denoiser.intervals(deviation)
        low, high = (mean - around).clamp_min(0), (mean + around).clamp_max(1)
        x, y = (each.cpu().double().numpy() for each in (clean, mean))
        inside = ((low <= clean) & (clean <= high)).double().flatten(1)
        width = (high - low).double().flatten(1)
        widest = width.topk(-(-width.shape[1] // 10), 1).indices
        sure = (each.mean(1).cpu().numpy() for each in (inside, width, inside.gather(1, widest)))
        found.append(np.stack([psnr(((x - y) ** 2).mean(axis=(1, 2, 3))), structural_similarity(x, y), *sure]))
    return Answers(*(float(each) for each in np.concatenate(found, 1).mean(1)))


def denoising(denoiser: Denoiser, denoise: Denoise, test: Split, seed: int, device: torch.device) -> dict[str, Any]:
    """The figures of metrics.json; of a range of noise also at its ends and its middle."""
    some = subset(test, MEASURED, seed)
    whole = answers(denoiser, some, device)
    figures: dict[str, Any] = {
        "psnr_of_denoised": whole.psnr,
        "ssim_of_denoised": whole.ssim,
        "interval_coverage": whole.coverage,
        "coverage_of_unsure": whole.coverage_of_unsure,
        "interval_width": whole.width,
        "interval_factor": denoiser.intervals.factor,
        "denoised_examples": len(some),
    }
    at = {f"{level:g}": answers(denoiser, each, device) for level, each in _levels(denoise, some)}
    if at:
        figures["psnr_by_level"] = {level: found.psnr for level, found in at.items()}
        figures["coverage_by_level"] = {level: found.coverage for level, found in at.items()}
    return figures


def _levels(denoise: Denoise, split: Split) -> Iterator[tuple[float, Split]]:
    """The part at the lowest, the middle and the highest level of Gaussian noise whose level is a range."""
    assert split.corruption is not None  # the recipe has a section
    match denoise.corruption:
        case (GaussianNoise(deviation=(low, high)),):
            for level in (low, (low + high) / 2, high):
                step = GaussianNoise(kind="gaussian", deviation=level)
                yield level, replace(split, corruption=replace(split.corruption, steps=(step,)))
