"""Tests that ask if two sets of latents come from one distribution."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.kernels import inverse_multiquadratic
from vae_pipeline.numerics.randomness import derive, seeded

Array = npt.NDArray[Any]

KERNEL_POINTS, CLASSIFIER_POINTS = 1_000, 2_000  # of each set, at most
CLASSIFIER_LATENTS = 1_024  # that trees are grown from, drawn at random; a map has many more
NUMBERS = 2**26  # that pairs may need at a time
PERMUTATIONS = 200
FOLDS = 5
LEAST = 2 * FOLDS  # of fewer points nothing can be said


@dataclass(frozen=True)
class TwoSample:
    """Draws of the aggregate posterior against as many of the prior."""

    mmd2: float
    p_value: float
    """The share of permutations of the points whose MMD² is as large; small where the sets differ."""
    auc: float
    """AUROC of a classifier that tells the sets apart by 1,024 latents at most: 0.5 if it can't, 1 if it always can."""


@torch.inference_mode()
def against_prior(model: VAE, z: Array, seed: int) -> TwoSample | None:
    """z [points, latents] against draws of p(z); None of too few."""
    if len(z) < LEAST:
        return None
    chosen = np.random.default_rng(derive(seed, "points")).permutation(len(z))[:CLASSIFIER_POINTS]
    with seeded(derive(seed, "prior")), evaluating(model):
        drawn = model.prior().sample(torch.Size([len(chosen)])).cpu().numpy()
    discrepancy, p_value = kernel_test(z[chosen[:KERNEL_POINTS]], drawn[:KERNEL_POINTS], derive(seed, "permutations"))
    some = np.random.default_rng(derive(seed, "latents")).permutation(z.shape[1])[:CLASSIFIER_LATENTS]
    told_by = slice(None) if len(some) == z.shape[1] else some
    return TwoSample(
        discrepancy, p_value, classifier_auc(z[chosen][:, told_by], drawn[:, told_by], derive(seed, "folds"))
    )


def kernel_test(first: Array, second: Array, seed: int) -> tuple[float, float]:
    """MMD², unbiased, and its p-value by permutations of the points.

    Source: Gretton, Borgwardt, Rasch, Schölkopf and Smola, A Kernel Two-Sample Test, 2012, eq. 3.
    """
    points = torch.from_numpy(np.concatenate([first, second]))
    # A few rows at a time: a pair needs a number a latent.
    some = max(1, min(32, NUMBERS // points.numel()))
    kernel = torch.cat([inverse_multiquadratic(rows, points) for rows in points.split(some)]).double().numpy()
    np.fill_diagonal(kernel, 0)
    draw = np.random.default_rng(seed)
    in_first = np.repeat([1.0, 0.0], [len(first), len(second)])
    sets = np.stack([in_first, *(draw.permutation(in_first) for _ in range(PERMUTATIONS))], axis=1)
    to_first = kernel @ sets
    between = ((1 - sets) * to_first).sum(axis=0)
    within_first = (sets * to_first).sum(axis=0)
    within_second = kernel.sum() - within_first - 2 * between
    n, m = len(first), len(second)
    found = within_first / (n * (n - 1)) + within_second / (m * (m - 1)) - 2 * between / (n * m)
    return float(found[0]), float((1 + (found[1:] >= found[0]).sum()) / (1 + PERMUTATIONS))


def classifier_auc(first: Array, second: Array, seed: int) -> float:
    """Area under the ROC curve of boosted trees, each point judged by trees that were fitted to others.

    Source: Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, 2017.
    """
    points, in_first = np.concatenate([first, second]), np.repeat([1, 0], [len(first), len(second)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    trees = HistGradientBoostingClassifier(max_iter=50, max_leaf_nodes=8, random_state=0)
    with threadpool_limits(1):  # threads that share such small trees mostly wait for each other
        judged = cross_val_predict(trees, points, in_first, cv=folds, method="predict_proba")
    return float(roc_auc_score(in_first, judged[:, 1]))
