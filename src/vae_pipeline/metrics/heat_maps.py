"""Heat maps by two detectors that know less than a model, and figures of how well a map finds defects.

They are smoothed and scored as the model's are (models/heat.py), and none is fitted to a test image or to a mask.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.baselines import fitted, scaled
from vae_pipeline.metrics.bounds import PerExample
from vae_pipeline.models.heat import PART, WINDOW
from vae_pipeline.numerics.randomness import derive

Array = npt.NDArray[Any]
Detector = Callable[[Split], Array]
"""A heat map of each image, [examples, height, width]: high where a pixel is unlikely."""

NEIGHBOURS = 5


def off_plane(train: Split, spec: ImageSpec, components: int, seed: int) -> Detector:
    """Squared error of the reconstruction by so many principal components of training images."""
    images = fitted(train, spec, seed).astype(np.float32)
    pca = PCA(min(components, *images.shape), svd_solver="randomized", random_state=derive(seed, "pca") % 2**32)
    pca.fit(images)
    return lambda split: _squares(split, spec, lambda x: pca.inverse_transform(pca.transform(x)))


def off_neighbours(train: Split, spec: ImageSpec, seed: int) -> Detector:
    """Squared difference from the mean of the five nearest training images."""
    images = fitted(train, spec, seed).astype(np.float32)
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(images)), algorithm="brute").fit(images)
    return lambda split: _squares(
        split, spec, lambda x: images[nearest.kneighbors(x, return_distance=False)].mean(axis=1)
    )


def _squares(split: Split, spec: ImageSpec, expected: Callable[[Array], Array]) -> Array:
    parts = (x.astype(np.float32) for x in scaled(split, spec))
    found = [((x - expected(x)) ** 2).reshape(len(x), *spec.shape).sum(axis=1) for x in parts]
    return np.concatenate(found)


def smoothed(found: Array) -> Array:
    """A heat map of each image."""
    width = WINDOW * min(found.shape[1:])
    return np.asarray(gaussian_filter(found, (0, width, width)))


def highest(heat: Array) -> PerExample:
    """A score of each image: the mean over the hottest part of its heat map."""
    values = heat.reshape(len(heat), -1)
    count = math.ceil(PART * values.shape[1])
    return np.asarray(np.partition(values, -count, axis=1)[:, -count:].mean(axis=1), np.float64)


def pixel_auroc(heat: Array, masks: Array) -> float | None:
    """The AUROC of pixels over all images: how often one of a defect is hotter than another; None if all are alike."""
    defective = masks.ravel() > 0
    return None if defective.all() or not defective.any() else float(roc_auc_score(defective, heat.ravel()))
