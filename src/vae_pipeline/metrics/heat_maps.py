"""Where an image is unlike normal ones: a heat map of it, by our model and by two detectors that know less.

All are smoothed by one Gaussian window, and none is fitted to a test image or to a mask.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor
from torch.distributions import Distribution, Independent

from vae_pipeline.data.store import Split
from vae_pipeline.metrics.baselines import fitted, scaled
from vae_pipeline.metrics.bounds import PerExample, batches, evaluating
from vae_pipeline.models.bernoulli import LogitBernoulli
from vae_pipeline.models.logistic import DiscretisedLogistic, LevelCategorical
from vae_pipeline.models.vae import VAE
from vae_pipeline.randomness import derive
from vae_pipeline.spec import ImageSpec

Array = npt.NDArray[Any]
Detector = Callable[[Split], Array]
"""What it finds odd at each pixel of each image: [examples, height, width], high where it is unlikely."""

WINDOW = 1 / 28  # standard deviation of the smoothing window, of the shorter side
PART = 0.04  # of an image, whose mean heat is its score
NEIGHBOURS = 5


def unlikely(model: VAE, device: torch.device) -> Detector:
    """The deviance of each pixel in nats, summed over channels, at the posterior's mean."""

    @torch.inference_mode()
    def find(split: Split) -> Array:
        found = []
        with evaluating(model):
            for images, labels in batches(split, device):
                likelihood = model.decode(model.encode(images, labels).mean, labels)
                found.append(deviance(likelihood, model.scaling(images)).sum(1).cpu().numpy())
        return np.concatenate(found)

    return find


def deviance(likelihood: Distribution, x: Float[Tensor, "batch *event"]) -> Float[Tensor, "batch *event"]:
    """How much likelier each value would be, had it been expected: log p(x | expecting x) - log p(x|z), 0 or more.

    Unlike -log p(x|z) itself it doesn't count what no expectation could spare: the entropy of grey under a Bernoulli,
    the scale of a Gaussian. So an image with less in it (a part is missing) has no lower score for that.

    Source: McCullagh and Nelder, Generalized Linear Models, 1989, section 2.3 (there twice this).
    """

    def last(parameter: Tensor) -> Tensor:
        """The axis of components or levels moved behind the event's, so that each value is an event of its own."""
        return parameter.movedim(1, -1).unsqueeze(-1)

    match likelihood:
        case Independent():
            base = likelihood.base_dist
            spared: Tensor = base.log_prob(base.mean) - base.log_prob(x)
            return spared
        case LogitBernoulli():
            cost = torch.nn.functional.softplus(likelihood.logits) - x * likelihood.logits
            return cost + torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)
        case DiscretisedLogistic():
            weight, location, scale = map(last, (likelihood.log_weight, likelihood.location, likelihood.log_scale))
            each = x.unsqueeze(-1)
            found, expected = (
                DiscretisedLogistic(weight, centre, scale, likelihood.levels, 1).log_prob(each)
                for centre in (location, each.unsqueeze(-1).expand_as(location))
            )
            return expected - found
        case LevelCategorical():
            log_probability = last(likelihood.log_probability)
            found = LevelCategorical(log_probability, 1).log_prob(x.unsqueeze(-1))
            return log_probability.amax((-2, -1)) - found
        case _:
            raise TypeError(f"{type(likelihood).__name__} is no likelihood of images")


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
    """How often a pixel of a defect is hotter than another, over all images; None where no pixel shows one, or all."""
    defective = masks.ravel() > 0
    return None if defective.all() or not defective.any() else float(roc_auc_score(defective, heat.ravel()))
