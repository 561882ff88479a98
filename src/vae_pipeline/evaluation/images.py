"""A report's part on images: reconstructions, samples, and pictures of both."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.evaluation import plots
from vae_pipeline.evaluation.latent_grids import plane, traversals
from vae_pipeline.kinds.image.pictures import Pixels, to_pixels
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.alarms import without_epoch
from vae_pipeline.metrics.baselines import baseline_psnr
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.detection import normal_part
from vae_pipeline.metrics.features import reference
from vae_pipeline.metrics.images import entropy_floor, fidelity
from vae_pipeline.metrics.latents import Latents
from vae_pipeline.metrics.memorised import memorised
from vae_pipeline.metrics.parts import read, subset
from vae_pipeline.metrics.samples import generation
from vae_pipeline.models.rows import Rows
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.training.trained import SHARPNESS, Trained

PAIRS, SAMPLES, PLANE = 30, 100, 20
TRAVERSED = 10


def describe(
    trained: Trained, prepared: Prepared, spec: ImageSpec, used: Latents, seed: int, home: Path, folder: Path
) -> dict[str, Any]:
    """Draw into `folder`; returns the figures. `home` keeps the classifier whose features samples are compared by."""
    prepared = dataclasses.replace(prepared, test=normal_part(prepared))
    model, test = trained.model, prepared.test
    device = next(model.parameters()).device
    _draw(model, test, spec, used, seed, folder)
    drawn = derive(seed, "evaluate")
    near = fidelity(model, test, drawn, device)
    figures: dict[str, Any] = {
        "mse": near.mse,
        "psnr": near.psnr,
        "ssim": near.ssim,
        "mse_of_sample": near.mse_of_sample,
        "psnr_of_sample": near.psnr_of_sample,
    }
    optional = {
        "sharpness": near.sharpness,
        "psnr_of_input": near.psnr_of_input,
        "ssim_of_input": near.ssim_of_input,
        "baseline_psnr": baseline_psnr(prepared.train, test, spec, model.latents, drawn),
    }
    if model.likelihood.measure(spec.binary) == "cross_entropy":
        optional["entropy_floor"] = entropy_floor(test, spec.low, spec.high)
    figures |= {name: value for name, value in optional.items() if value is not None} | sharpened(trained)
    features = reference(prepared, home, device)
    copies = memorised(model, prepared, features, seed)
    originals = to_pixels(copies.originals.x[:], spec.low, spec.high)
    plots.pairs(folder / "closest.png", to_pixels(copies.samples, 0, 1), originals)
    if copies.figures:
        figures |= copies.figures | {"alarms": without_epoch(copies.alarms())}
    return figures | generation(model, prepared, features, seed)


def sharpened(trained: Trained) -> dict[str, Any]:
    """The terms that the model was trained for beside its objective, as they were in the epoch that was kept."""
    sharpness, kept = trained.recipe.train.sharpness, trained.history[trained.kept_epoch - 1]
    if sharpness is None:
        return {}
    figures = {name: kept[name] for name in SHARPNESS if kept[name] is not None}
    return {"trained_for": " + ".join([trained.recipe.objective.kind, *sharpness.terms]), **figures}


def _draw(model: VAE, test: Split, spec: ImageSpec, used: Latents, seed: int, folder: Path) -> None:
    shown = subset(test, PAIRS, seed)
    first = shown.labels[:1] if shown.labels is not None else None
    seen = read(shown, slice(None), next(model.parameters()).device)
    pixels = to_pixels(seen.x.cpu().numpy(), spec.low, spec.high)
    plots.pairs(folder / "reconstructions.png", pixels, _reconstruct(model, seen, spec))
    by_class = np.arange(SAMPLES) // 10 % max(1, model.classes)
    with seeded(derive(seed, "samples")), torch.inference_mode():
        z = model.draw(torch.randn(SAMPLES, model.noise), torch.from_numpy(by_class)).numpy()
    plots.grid(folder / "samples.png", _decode(model, z, by_class, spec), 10)
    if model.latents == 2:
        middle = np.full(PLANE**2, 0 if first is None else int(first[0]))
        plots.grid(folder / "manifold.png", _decode(model, plane(PLANE), middle, spec), PLANE)
        return
    chosen = np.argsort(-used.rate)[:TRAVERSED]
    middle_z = traversals(used.mean[0], chosen)
    label = np.full(len(middle_z), 0 if test.labels is None else int(test.labels[0]))
    plots.grid(folder / "traversals.png", _decode(model, middle_z, label, spec), len(middle_z) // len(chosen))


@torch.inference_mode()
def _reconstruct(model: VAE, rows: Rows, spec: ImageSpec) -> Pixels:
    with evaluating(model):
        return _pixels(model, model.decode(model.encode(rows.x, rows.label).mean, rows.label).mean, spec)


@torch.inference_mode()
def _decode(model: VAE, z: npt.NDArray[Any], labels: npt.NDArray[Any], spec: ImageSpec) -> Pixels:
    device = next(model.parameters()).device
    with evaluating(model):
        x_mean = model.decode(torch.from_numpy(z).to(device), torch.from_numpy(labels).to(device)).mean
    return _pixels(model, x_mean, spec)


def _pixels(model: VAE, x_mean: Tensor, spec: ImageSpec) -> Pixels:
    return to_pixels(model.scaling.inverse(x_mean).cpu().numpy(), spec.low, spec.high)
