"""The fit of a sampler that tells classes apart: a Gaussian of each class's share of the aggregate posterior."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.mixtures import POINTS, posterior_draws
from vae_pipeline.metrics.parts import chosen_rows, taken
from vae_pipeline.models.samplers import ClassesSampler
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive

LEAST_VARIANCE = 1e-4  # added to each, as of the other mixtures
Array = npt.NDArray[Any]


def fit_class_gaussians(model: VAE, train: Split, seed: int) -> ClassesSampler:
    """A Gaussian for each class of a conditional model, by the moments of draws of q(z|x, class)."""
    assert train.labels is not None  # the data of a conditional model have them
    members = [np.flatnonzero(train.labels == label) for label in range(model.classes)]
    points, draws = POINTS // model.classes, []
    for label, rows in enumerate(members):
        drawn = derive(seed, "class", label)
        some = rows[chosen_rows(rows, points, drawn)]  # of a class that may not fit into memory
        draws.append(
            posterior_draws(model, taken(train, some), drawn, points) if len(rows) else np.zeros((0, model.latents))
        )
    return class_gaussians(draws, [len(rows) for rows in members]).to(next(model.parameters()).device)


def class_gaussians(draws: Sequence[Array], examples: Sequence[int]) -> ClassesSampler:
    """The Gaussians of classes, of draws [draws, latents] of each, which are of so many examples.

    The covariance of a class of n examples is its own by n / (n + latents), and else that within all classes, which
    few examples can't tell by themselves. A class without examples is drawn as all of them together.
    """
    latents = draws[0].shape[1]
    together = _moments(np.concatenate(draws))
    own = [_moments(z) if len(z) else together for z in draws]
    within = np.average([covariance for _, covariance in own], axis=0, weights=examples)
    shares = [count / (count + latents) if count else 1.0 for count in examples]
    covariances = [
        share * covariance + (1 - share) * within for share, (_, covariance) in zip(shares, own, strict=True)
    ]
    mean = np.stack([mean for mean, _ in own])
    tril = np.linalg.cholesky(np.stack(covariances) + LEAST_VARIANCE * np.eye(latents))
    return ClassesSampler(torch.from_numpy(mean).float(), torch.from_numpy(tril).float())


def _moments(z: Array) -> tuple[Array, Array]:
    z = z.astype(np.float64)
    return z.mean(0), np.cov(z.T).reshape(z.shape[1], z.shape[1])
