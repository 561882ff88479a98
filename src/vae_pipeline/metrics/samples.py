"""New observations of a trained model, in numbers that a distance between sets needs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.features import Reference
from vae_pipeline.metrics.generation import LEAST, frechet_distance, nearest_neighbour_ratio, overlap
from vae_pipeline.metrics.images import laplacian_variance
from vae_pipeline.metrics.parts import at_once, batches, subset
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded

SAMPLES, RECORDINGS, SHARP = 10_000, 1_000, 1_000
OF_SETS = (
    "frechet_samples", "frechet_reconstructions", "precision", "recall", "density", "coverage",
    "nearest_neighbour_ratio", "nearer_than_any_test",
)  # fmt: skip
OF_CLASS = 50  # samples of each class that the classifier is to name
ROWS = 4096  # decoded at a time, at most
Array = npt.NDArray[Any]


@torch.inference_mode()
def samples(model: VAE, train: Split, seed: int, count: int = SAMPLES) -> Iterator[Tensor]:
    """E[x|z] on [0, 1] of `count` new z, some at a time; a conditional model's labels come as often as in `train`."""
    device = next(model.parameters()).device
    rows = at_once(train, ROWS)
    draw = np.random.default_rng(derive(seed, "labels"))
    with seeded(derive(seed, "samples")), evaluating(model):
        for start in range(0, count, rows):
            size = min(rows, count - start)
            labels = None
            if model.classes and train.labels is not None:
                labels = torch.from_numpy(train.labels[draw.integers(0, len(train), size)]).to(device)
            z = model.draw(torch.randn(size, model.noise).to(device), labels)
            yield model.decode(z, labels).mean.clamp(0, 1)


@torch.inference_mode()
def sample_accuracy(model: VAE, reference: Reference, seed: int) -> float:
    """The share of samples of a conditional model, as many of each class, that the classifier names rightly."""
    device, right = next(model.parameters()).device, 0
    with seeded(seed), evaluating(model):
        for label in range(model.classes):
            labels = torch.full([OF_CLASS], label, device=device)
            z = model.draw(torch.randn(OF_CLASS, model.noise).to(device), labels)
            values = model.decode(z, labels).mean.clamp(0, 1)
            right += int((reference.class_of_answers(model.scaling, values) == labels).sum())
    return right / (OF_CLASS * model.classes)


def sample_features(model: VAE, train: Split, reference: Reference, seed: int) -> Array:
    """Features [10,000, 64] of new observations; of sound, whose phases take their time, [1,000, 64]."""
    count = SAMPLES if len(train.x.shape) == 4 else RECORDINGS
    parts = samples(model, train, seed, count)
    return np.concatenate([reference.of_answers(model.scaling, values) for values in parts])


@torch.inference_mode()
def _sharpness(model: VAE, prepared: Prepared, seed: int) -> float | None:
    """Mean variance of the Laplacian of samples over that of test images; None where those are flat."""
    scaling, test = model.scaling, subset(prepared.test, SHARP, seed)
    real = laplacian_variance(scaling(torch.from_numpy(test.x[:])).double().numpy()).mean()
    drawn = torch.cat(list(samples(model, prepared.train, seed, SHARP))).double().cpu().numpy()
    return float(laplacian_variance(drawn).mean() / real) if real > 0 else None


def generation(model: VAE, prepared: Prepared, reference: Reference, seed: int) -> dict[str, Any]:
    """Distances of samples from the test part, and beside them the same distances of other images.

    `frechet_floor` is the training part's distance (as many examples as the test part has, where there are so many),
    `frechet_prior` that of samples of the prior, where another sampler was fitted.
    """
    train, test = prepared.train, prepared.test
    figures: dict[str, Any] = {
        "feature_accuracy": reference.accuracy,
        "features_sha256": reference.sha256,
    }
    if model.classes and reference.task == "labels":
        figures["sample_accuracy"] = sample_accuracy(model, reference, derive(seed, "named"))
    if len(test) < LEAST:
        reason = f"{len(test)} test examples are too few for distances and shares of sets: {LEAST} are wanted"
        return figures | {"left_out": dict.fromkeys(OF_SETS, reason)}
    real, near = reference.of(test), reference.of(subset(train, len(test), derive(seed, "floor")))
    drawn = sample_features(model, train, reference, seed)
    near_real = overlap(real, drawn[: len(real)])  # of two sets of one size
    figures |= {
        "frechet_samples": frechet_distance(real, drawn),
        "frechet_reconstructions": frechet_distance(real, reconstruction_features(model, test, reference)),
        "frechet_floor": frechet_distance(real, near),
        "precision": near_real.precision,
        "recall": near_real.recall,
        "density": near_real.density,
        "coverage": near_real.coverage,
        "nearest_neighbour_ratio": nearest_neighbour_ratio(drawn, near, real),
    }
    sharpness = _sharpness(model, prepared, seed) if len(train.x.shape) == 4 else None
    if sharpness is not None:
        figures["samples_sharpness"] = sharpness
    if model.sampler is not None:
        fitted, model.sampler = model.sampler, None
        try:
            figures["frechet_prior"] = frechet_distance(real, sample_features(model, train, reference, seed))
        finally:
            model.sampler = fitted
    return figures


@torch.inference_mode()
def reconstruction_features(model: VAE, split: Split, reference: Reference) -> Array:
    """Features of the reconstructions of a set."""
    found = []
    with evaluating(model):
        for rows in batches(split, next(model.parameters()).device, "reconstructions"):
            mean = model.decode(model.encode(rows.x, rows.label).mean, rows.label).mean
            found.append(reference.of_answers(model.scaling, mean.clamp(0, 1), rows.x))
    return np.concatenate(found)
