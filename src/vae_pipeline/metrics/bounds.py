"""The ELBO of each example, and what bounds have in common."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.parts import batches
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded

PerExample = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ElboTerms:
    """Distortion and rate of each example, one sample of z each."""

    distortion: PerExample
    rate: PerExample
    level_rates: npt.NDArray[np.float64]
    """The rate of each level, [examples, levels]; a model that isn't a ladder has one."""

    @property
    def elbo(self) -> PerExample:
        """-(distortion + rate), at beta = 1 whatever beta trained."""
        return -(self.distortion + self.rate)


@torch.inference_mode()
def elbo_terms(model: VAE, split: Split, seed: int, device: torch.device) -> ElboTerms:
    """Distortion and rate of every example; the same draws for the same seed."""
    distortion: list[npt.NDArray[Any]] = []
    rate: list[npt.NDArray[Any]] = []
    by_level: list[npt.NDArray[Any]] = []
    with seeded(derive(seed, "elbo")), evaluating(model):
        for rows in batches(split, device, "ELBO"):
            inference = model(rows.x, rows.target, label=rows.label)
            distortion.append(inference.distortion()[0].cpu().double().numpy())
            rate.append(inference.rate()[0].cpu().double().numpy())
            by_level.append(inference.level_rates()[0].cpu().double().numpy())
    return ElboTerms(np.concatenate(distortion), np.concatenate(rate), np.concatenate(by_level))


def widest(device: torch.device) -> torch.dtype:
    """The dtype for sums over many examples: float64, which Apple's GPUs lack."""
    return torch.float32 if device.type == "mps" else torch.float64


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
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
