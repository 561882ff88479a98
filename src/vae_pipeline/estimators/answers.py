"""The answers of a trained model on rows in memory: posterior means, decoded means, bounds on log p(x)."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vae_pipeline.kinds.spec import DataSpec, ImageSpec, TextSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import PerExample, evaluating
from vae_pipeline.metrics.parts import VALUES, batches
from vae_pipeline.models.denoiser import Denoiser
from vae_pipeline.models.likelihoods.image_draw import UNIFORM, ImageDraw
from vae_pipeline.models.scaling import Scaling, resounded
from vae_pipeline.models.sound.denoiser import SoundDenoiser
from vae_pipeline.models.table import TableVAE
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.runtime.samples import even as sampled_evenly

Array = npt.NDArray[Any]
Labels = npt.NDArray[np.int64] | None
AT_ONCE = 4096  # rows decoded at a time, at most
PLACES, NATS = 5, 4
"""Decimals of latents and of nats that float32 leaves sure, so that a row's answer doesn't depend on its company."""


@torch.inference_mode()
def means(model: VAE, x: Array, labels: Labels, device: torch.device) -> npt.NDArray[np.float32]:
    """The mean of q(z|x), [examples, latents]."""
    with _on(model, device):
        found = [
            model.encode(rows.x, rows.label).mean.cpu().numpy() for rows in batches(Split(x, labels), device, "latents")
        ]
    return np.asarray(np.concatenate(found).round(PLACES))


@torch.inference_mode()
def decoded(
    model: VAE, z: Array, labels: Labels, spec: DataSpec, device: torch.device, seed: int | None = None,
    x: Array | None = None,
) -> Array:  # fmt: skip
    """E[x|z] in raw values, [examples, *event]; of sentences the likeliest tokens or, by a seed, drawn ones.

    Sound has the phases of `x`, which the latents are of, where that is given.
    """
    found = []
    with _on(model, device), seeded(0 if seed is None else derive(seed, "tokens")):
        for some in _pieces(len(z), spec):
            label = None if labels is None else torch.from_numpy(labels[some]).to(device)
            observed = model.decode(torch.from_numpy(z[some]).float().to(device), label)
            if isinstance(spec, TextSpec):
                values: Tensor = observed.mean if seed is None else observed.sample()
            elif x is None:
                values = model.scaling.inverse(observed.mean)
            else:
                values = resounded(model.scaling, observed.mean, torch.from_numpy(x[some]).to(device))
            found.append(values.cpu().numpy())
    return np.concatenate(found)


@torch.inference_mode()
def denoised(
    denoiser: Denoiser | SoundDenoiser, x: Array, spec: DataSpec, device: torch.device
) -> tuple[Array, Array, Array]:
    """Clean values in the data's units, [examples, *event], and the lower and upper ends of their intervals."""
    found = []
    with _on(denoiser, device):
        for some in _pieces(len(x), spec):
            found.append([values.cpu().numpy() for values in denoiser(torch.from_numpy(x[some]).to(device))])
    clean, low, high = (np.concatenate(values) for values in zip(*found, strict=True))
    return clean, low, high


@torch.inference_mode()
def drawn(
    model: VAE, count: int, seed: int | np.random.Generator, device: torch.device, labels: Labels = None
) -> Array:
    """[count, latents]: draws of the fitted sampler, or of the prior, as a bundle makes them of the same seed."""
    noise = np.random.default_rng(seed).standard_normal((count, model.noise)).astype(np.float32)
    with _on(model, device):
        classes = None if labels is None else torch.from_numpy(labels).to(device)
        return model.draw(torch.from_numpy(noise).to(device), classes).cpu().numpy()


@torch.inference_mode()
def drawn_images(model: VAE, z: Array, labels: Labels, spec: ImageSpec, device: torch.device, seed: int) -> Array:
    """Images of p(x|z) in raw values, [examples, *event], as a bundle draws them of the same seed."""
    assert isinstance(model.scaling, Scaling)  # features, of which no image is made, have another
    draw, width = ImageDraw(model.scaling, spec.dtype == "uint8"), UNIFORM * math.prod(spec.event_shape)
    even, found = np.random.default_rng((seed, 1)), []
    with _on(model, device):
        for some in _pieces(len(z), spec):
            label = None if labels is None else torch.from_numpy(labels[some]).to(device)
            images = model.decode(torch.from_numpy(z[some]).to(device), label)
            uniform = torch.from_numpy(sampled_evenly(len(z[some]), even, width)).to(device)
            found.append(draw.drawn(images, uniform).values.cpu().numpy())
    return np.concatenate(found)


class RowStream:
    """Raw rows of a seed, one after the other, as a bundle draws them; the same however many are asked at a time."""

    def __init__(self, model: TableVAE, seed: int) -> None:
        self.model = model
        self._noise, self._even = np.random.default_rng(seed), np.random.default_rng((seed, 1))

    @torch.inference_mode()
    def __call__(self, count: int, device: torch.device) -> Array:
        """[count, columns]: the next rows, NaN where a value is missing."""
        found = []
        for start in range(0, count, AT_ONCE):
            size = min(AT_ONCE, count - start)
            z = torch.from_numpy(drawn(self.model, size, self._noise, device)).to(device)
            even = torch.from_numpy(sampled_evenly(size, self._even, self.model.rows.uniform)).to(device)
            with _on(self.model, device):
                rows = self.model.draw_rows(z, even)
            found.append(torch.where(rows.present > 0, rows.values, torch.nan).cpu().numpy())
        return np.concatenate(found)


@torch.inference_mode()
def bounds(
    model: VAE, x: Array, labels: Labels, spec: DataSpec, device: torch.device, draws: int, importance: bool
) -> PerExample:
    """The ELBO of each example averaged over draws of z, or the importance bound of so many; nats.

    Every example has the same draws of noise, so that its bound doesn't depend on its neighbours.
    """
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((draws, model.latents)).astype(np.float32))
    rows_at_once = max(1, _at_once(spec) // 32)
    found = []
    with _on(model, device):
        for rows in batches(Split(x, labels), device, "bounds", rows_at_once):
            posterior, target = model.encode(rows.x, rows.label), model.scaling(rows.x)
            terms = []
            for some in noise.to(device).split(32):
                inference = model.explain(
                    target, posterior.draw(some.unsqueeze(1).expand(-1, len(rows.x), -1)), rows.label
                )
                elbo = -(inference.distortion() + inference.rate())
                terms.append((inference.log_weight() if importance else elbo).cpu().double())
            every = torch.cat(terms)
            bound = every.logsumexp(0) - math.log(draws) if importance else every.mean(0)
            found.append(bound.numpy())
    return np.asarray(np.concatenate(found).round(NATS))


@contextmanager
def _on(model: nn.Module, device: torch.device) -> Iterator[None]:
    """A block in which the model is on the device; before and afterwards it is on the CPU, from where it is copied."""
    try:
        model.to(device)
        with evaluating(model):
            yield
    finally:
        model.cpu()


def _pieces(count: int, spec: DataSpec) -> Iterator[slice]:
    for start in range(0, count, _at_once(spec)):
        yield slice(start, start + _at_once(spec))


def _at_once(spec: DataSpec) -> int:
    return max(1, min(AT_ONCE, VALUES // spec.largest))
