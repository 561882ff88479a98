"""Images that are copies of training images: how near each lies to its nearest one, beside how near test images lie.

Distances are of features, to every image of the training part. A model that generalises draws samples about as near as
test images are; what a training image lies much nearer to than to any test image was remembered.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.features import Reference
from vae_pipeline.metrics.generation import LEAST
from vae_pipeline.metrics.parts import batches, subset, taken
from vae_pipeline.metrics.samples import samples
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive

COUNT = 2_000  # samples, and test images at most
ROWS = 500  # training images at a time
SHOWN = 20  # pairs
MOST = 0.95  # of the test images lie farther off
SHARE = 0.002  # of samples less than half as far as any test image, over which it is an alarm
NEARER, CHANCE = 0.01, 5  # of samples nearer than any: over this, and so many times what chance makes of it
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Memorised:
    """The nearest training image of each sample."""

    figures: dict[str, float]
    """The figures by their keys; none where the test part is too small to say how near is usual."""
    samples: Array
    """[pairs, channels, height, width], on [0, 1]: those that lie nearest."""
    originals: Split
    """The training images that they lie nearest to."""
    distance: Array
    """The distance of each of all samples from its nearest training image."""
    row: npt.NDArray[np.int64]
    """The row of that image."""
    usual: float
    """The least distance of a test image from its nearest training image; 0 where there are too few of them."""

    def alarms(self) -> dict[str, str]:
        """The alarm that there is reason for, with what it means and what to try."""
        if not self.figures:
            return {}
        half, nearer = self.figures["half_as_far"], self.figures["nearer_than_any_test"]
        if half <= SHARE and nearer <= NEARER + CHANCE * self.figures["nearer_than_chance"]:
            return {}
        about = (
            f"samples repeat training images: {nearer:.1%} lie nearer to one than any test image does, {half:.1%} less "
            "than half as far (the report shows the closest pairs): try more data, fewer epochs or fewer latents, and "
            "give no samples away if the training images are private"
        )
        return {"memorised": about}


def memorised(model: VAE, prepared: Prepared, reference: Reference, seed: int) -> Memorised:
    """Ask of `COUNT` samples of a model."""
    drawn = partial(samples, model, prepared.train, derive(seed, "memorised"), COUNT)
    return memorised_in(drawn, prepared, reference, seed)


@torch.inference_mode()
def memorised_in(
    drawn: Callable[[], Iterator[Tensor]], prepared: Prepared, reference: Reference, seed: int
) -> Memorised:
    """Ask of images on [0, 1] that come in parts, the same at each call."""
    test = subset(prepared.test, COUNT, derive(seed, "memorised"))
    features = np.concatenate([reference.of_scaled(images) for images in drawn()])
    (distance, row), (usual, _) = nearest(prepared.train, reference, features, reference.of(test))
    apart = usual[usual > 0]  # a test image that is a training image too tells nothing
    order = np.argsort(distance, kind="stable")[:SHOWN]
    known = len(apart) > 0 and len(test) >= LEAST
    least, most = (float(np.quantile(apart, share)) if known else 0.0 for share in (0, 1 - MOST))
    figures = {
        "nearer_than_any_test": float((distance < least).mean()),
        "nearer_than_most_test": float((distance < most).mean()),
        "half_as_far": float((distance < least / 2).mean()),
        "nearer_than_chance": 1 / (len(apart) + 1),
    }
    originals = taken(prepared.train, row[order])
    return Memorised(figures if len(test) >= LEAST else {}, _rows(drawn(), order), originals, distance, row, least)


def too_few_to_compare(prepared: Prepared) -> str:
    """The reason why there are no figures of images."""
    return f"{len(prepared.test)} test images are too few to say how near is usual: {LEAST} are wanted"


def _rows(parts: Iterator[Tensor], wanted: npt.NDArray[np.int64]) -> Array:
    """Some rows of what comes in parts, of which one at a time is held."""
    found: dict[int, Array] = {}
    start = 0
    for part in parts:
        found |= {int(row): part[row - start].cpu().numpy() for row in wanted if start <= row < start + len(part)}
        start += len(part)
    return np.stack([found[int(row)] for row in wanted])


def nearest(train: Split, reference: Reference, *points: Array) -> list[tuple[Array, Array]]:
    """The distance of each of some points [points, features] from its nearest training image, and that image's row."""
    found = [(np.full(len(each), np.inf), np.zeros(len(each), np.int64)) for each in points]
    device = next(reference.net.parameters()).device
    start = 0
    for rows in batches(train.clean, device, "the nearest training images", ROWS):
        features = reference.of_scaled(reference.net.scaling(rows.x))
        for each, (distance, row) in zip(points, found, strict=True):
            squares = (each**2).sum(1)[:, None] + (features**2).sum(1) - 2 * each @ features.T
            closest = squares.argmin(1)
            exact = np.linalg.norm(each - features[closest], axis=1)  # what is expanded finds, and doesn't measure
            nearer = exact < distance
            distance[nearer], row[nearer] = exact[nearer], start + closest[nearer]
        start += len(rows.x)
    return found
