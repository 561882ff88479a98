"""Heat maps by two detectors that know less than a model, and figures of how well a map finds defects.

They are smoothed and scored as the model's are (models/heat.py), and none is fitted to a test image or to a mask.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, label
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.baselines import fitted, scaled
from vae_pipeline.metrics.bounds import PerExample
from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.models.heat import PART, WINDOW
from vae_pipeline.models.scaling import AnyScaling
from vae_pipeline.numerics.randomness import derive

Array = npt.NDArray[Any]
Detector = Callable[[Split], Array]
"""The finding on each value that a model sees, [examples, channels, rows, columns]: high where it is unlikely."""

NEIGHBOURS = 5
LIMIT = 0.3  # of the false-positive rate, up to which AUPRO looks


def off_plane(train: Split, spec: ImageSpec, components: int, seed: int, scaling: AnyScaling | None = None) -> Detector:
    """Squared error of the reconstruction by so many principal components of training images, or of their features."""
    rows = fitted(train, spec, seed, scaling).astype(np.float32)
    pca = PCA(min(components, *rows.shape), svd_solver="randomized", random_state=derive(seed, "pca") % 2**32)
    pca.fit(rows)
    return lambda split: _squares(split, spec, scaling, lambda x: pca.inverse_transform(pca.transform(x)))


def off_neighbours(train: Split, spec: ImageSpec, seed: int, scaling: AnyScaling | None = None) -> Detector:
    """Squared difference from the mean of the five nearest training images, or of their features."""
    rows = fitted(train, spec, seed, scaling).astype(np.float32)
    nearest = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(rows)), algorithm="brute").fit(rows)
    return lambda split: _squares(
        split, spec, scaling, lambda x: rows[nearest.kneighbors(x, return_distance=False)].mean(axis=1)
    )


def _squares(split: Split, spec: ImageSpec, scaling: AnyScaling | None, expected: Callable[[Array], Array]) -> Array:
    shape = scaling.view.shape if isinstance(scaling, FeatureScaling) else spec.shape
    parts = (x.astype(np.float32) for x in scaled(split, spec, scaling))
    return np.concatenate([((x - expected(x)) ** 2).reshape(len(x), *shape) for x in parts])


def smoothed(found: Array) -> Array:
    """A heat map of each image, of what was found of each pixel, [examples, height, width]."""
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


def aupro(heat: Array, masks: Array) -> float | None:
    """The area under the per-region overlap, of 1 at most; None where there is no region, or nothing beside regions.

    PRO(t) is the share of a region's pixels that are at least as hot as t, averaged over the regions of all masks; a
    region is what hangs together, by corners too. Its curve over the rate of false positives among all other pixels is
    integrated up to a rate of 0.3, and divided by it.

    Source: Bergmann, Fauser, Sattlegger and Steger, Uninformed Students, 2020, section 4.2.
    """
    defective = masks > 0
    weight = np.zeros(defective.shape)
    count = 0
    for share, mask in zip(weight, defective, strict=True):
        regions, found = label(mask, np.ones((3, 3)))
        sizes = np.bincount(regions.ravel())
        share[mask] = 1 / sizes[regions[mask]]
        count += found
    if not count or defective.all():
        return None
    order = np.argsort(heat, axis=None)[::-1]
    hot = heat.ravel()[order]
    ends = np.append(np.flatnonzero(np.diff(hot)), len(hot) - 1)  # pixels that are as hot as each other count at once
    overlap = np.append(0.0, np.cumsum(weight.ravel()[order])[ends] / count)
    false = np.append(0.0, np.cumsum(~defective.ravel()[order])[ends] / (~defective).sum())
    within = false < LIMIT
    curve = np.append(overlap[within], np.interp(LIMIT, false, overlap))
    return min(1.0, float(np.trapezoid(curve, np.append(false[within], LIMIT))) / LIMIT)
