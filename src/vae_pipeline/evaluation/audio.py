"""A report's part on sound: figures, spectrograms, and recordings that the page plays."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.evaluation import plots
from vae_pipeline.evaluation.images import sharpened
from vae_pipeline.kinds.audio.encoding import save_recordings
from vae_pipeline.kinds.spec import AudioSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.detection import normal_part
from vae_pipeline.metrics.features import heard, reference
from vae_pipeline.metrics.parts import read, subset
from vae_pipeline.metrics.samples import generation
from vae_pipeline.metrics.sound import sound_fidelity
from vae_pipeline.models.scaling import resounded
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.training.trained import Trained

SHOWN, STEPS = 6, 5
Array = npt.NDArray[Any]


def describe(
    trained: Trained, prepared: Prepared, spec: AudioSpec, seed: int, home: Path, folder: Path
) -> dict[str, Any]:
    """Draw into `folder`, and put sound there; returns the figures. `home` keeps the classifier of features."""
    prepared = dataclasses.replace(prepared, test=normal_part(prepared))
    model = trained.model
    device = next(model.parameters()).device
    _draw(model, prepared, spec, seed, folder)
    near = sound_fidelity(model, prepared.test, spec, device)
    figures = {name: value for name, value in dataclasses.asdict(near).items() if value is not None}
    figures |= sharpened(trained)
    features = reference(prepared, home, device)
    return figures | generation(model, prepared, features, seed)


@torch.inference_mode()
def _draw(model: VAE, prepared: Prepared, spec: AudioSpec, seed: int, folder: Path) -> None:
    """Recordings and their reconstructions, new ones, and the way from one recording to another."""
    device = next(model.parameters()).device
    rows = read(subset(prepared.test, SHOWN, seed), slice(None), device)
    count = len(rows.x)
    classes = torch.arange(SHOWN, device=device) % max(1, model.classes)
    with seeded(derive(seed, "samples")), evaluating(model):
        mean = model.encode(rows.x, rows.label).mean
        again = resounded(model.scaling, model.decode(mean, rows.label).mean, rows.x)
        z = model.draw(torch.randn(SHOWN, model.noise).to(device), classes)
        drawn = model.scaling.inverse(model.decode(z, classes).mean)
        shares = torch.linspace(0, 1, STEPS, device=device).unsqueeze(1)
        between = mean[:1].lerp(mean[-1:], shares)
        label = None if rows.label is None else rows.label[:1].expand(STEPS)
        path = model.scaling.inverse(model.decode(between, label).mean)
    show(folder, "reconstructions", torch.cat([rows.x, again]), spec, count)
    show(folder, "samples", drawn, spec, SHOWN)
    show(folder, "path", path, spec, STEPS)


def show(folder: Path, name: str, sound: Tensor, spec: AudioSpec, columns: int) -> None:
    """A picture of all waveforms and spectrograms, and a file of each recording."""
    x: Array = sound.cpu().numpy().clip(-1, 1)
    seen = heard(spec)(torch.from_numpy(x)).mean(1).numpy()
    plots.sounds(folder / f"{name}.png", x.mean(1), seen, spec.seconds, columns)
    for index, each in enumerate(x):
        save_recordings(folder / f"{name}_{index + 1:02}.wav", np.ascontiguousarray(each[None]), spec)
