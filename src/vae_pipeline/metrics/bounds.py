"""The ELBO of each example, and the way through a part that every metric takes."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Split
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.system.progress import going

VALUES = 4096 * 28 * 28  # decoded at a time: what they need stays near a CPU's cache, and memory is bounded
ROWS = 1024  # examples encoded at a time, at most

PerExample = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ElboTerms:
    """Distortion and rate of each example, one sample of z each."""

    distortion: PerExample
    rate: PerExample

    @property
    def elbo(self) -> PerExample:
        """-(distortion + rate), at beta = 1 whatever beta trained."""
        return -(self.distortion + self.rate)


def at_once(split: Split, most: int) -> int:
    """How many examples may be decoded at a time."""
    return max(1, min(most, VALUES // math.prod(split.images.shape[1:])))


def batches(
    split: Split, device: torch.device, what: str, rows: int | None = None
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Images and labels in their order, so many at a time that memory doesn't grow with their size.

    `what` is what they are wanted for, as a person reads it who waits.
    """
    rows = rows or at_once(split, ROWS)
    for start in range(0, len(split), rows):
        going(what, start, len(split))
        images = torch.from_numpy(split.images[start : start + rows]).to(device)
        if split.labels is None:
            yield images, None
        else:
            yield images, torch.from_numpy(split.labels[start : start + rows]).to(device)


def subset(split: Split, count: int | None, seed: int) -> Split:
    """`count` rows drawn without replacement, in their order; the same for the same seed; all if None."""
    if count is None or count >= len(split):
        return split
    return taken(split, chosen_rows(split, count, seed))


def chosen_rows(split: Split, count: int | None, seed: int) -> npt.NDArray[np.int64]:
    """The rows that `subset` takes."""
    if count is None or count >= len(split):
        return np.arange(len(split))
    return np.sort(np.random.default_rng(derive(seed, "subset")).permutation(len(split))[:count])


def taken(split: Split, rows: npt.NDArray[np.int64]) -> Split:
    """Some rows of a part, in memory."""
    arrays = (split.labels, split.masks, split.sizes)
    labels, masks, sizes = (None if array is None else array[rows] for array in arrays)
    return Split(split.images[rows], labels, masks, sizes)


@torch.inference_mode()
def elbo_terms(model: VAE, split: Split, seed: int, device: torch.device) -> ElboTerms:
    """Distortion and rate of every example; the same draws for the same seed."""
    distortion: list[npt.NDArray[Any]] = []
    rate: list[npt.NDArray[Any]] = []
    with seeded(derive(seed, "elbo")), evaluating(model):
        for images, labels in batches(split, device, "ELBO"):
            inference = model(images, label=labels)
            distortion.append(inference.distortion()[0].cpu().double().numpy())
            rate.append(inference.rate()[0].cpu().double().numpy())
    return ElboTerms(np.concatenate(distortion), np.concatenate(rate))


def widest(device: torch.device) -> torch.dtype:
    """The dtype for sums over many examples: float64, which Apple's GPUs lack."""
    return torch.float32 if device.type == "mps" else torch.float64


@contextmanager
def evaluating(model: VAE) -> Iterator[None]:
    """A block in which the model is in evaluation mode."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def standard_error(values: PerExample) -> float | None:
    """Standard error of the mean over examples; None of a single one."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
