"""Gaussian mixtures of full covariance as densities of latents, by EM (scikit-learn)."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.randomness import derive

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

MOST = 80  # components
FOLDS = 5
Array = npt.NDArray[Any]


def mixture(z: Array, components: int, seed: int) -> "GaussianMixture":
    """The mixture of so many components that is likeliest for z [draws, latents]."""
    from sklearn.mixture import GaussianMixture  # noqa: PLC0415 (two seconds and 170 MiB, for this alone)

    drawn = derive(seed, "mixture") % 2**32
    fit = GaussianMixture(min(components, len(z)), reg_covar=1e-4, max_iter=200, random_state=drawn)
    return fit.fit(z.astype(np.float64))


def chosen_mixture(z: Array, held_out: Array, first: int, seed: int) -> "GaussianMixture":
    """Components double from `first` on, up to `MOST`, for as long as the held-out draws become likelier."""
    best, components = mixture(z, first, seed), 2 * first
    while components <= min(MOST, len(z)):
        more = mixture(z, components, seed)
        if more.score(held_out) <= best.score(held_out):
            break
        best, components = more, 2 * components
    return best


def cross_fitted(z: Array, seed: int) -> Array:
    """log f(z) [examples, draws] of draws z [examples, draws, latents], each by a mixture f of other examples.

    Its mean is at most that of log q(z), whatever f is (Gibbs' inequality): of the fold that is asked f knows nothing,
    and the number of its components is chosen on another that it wasn't fitted to.
    """
    folds = np.array_split(np.random.default_rng(derive(seed, "folds")).permutation(len(z)), FOLDS)
    found = np.empty(z.shape[:2])
    for index, asked in enumerate(folds):
        chooses = folds[(index + 1) % FOLDS]
        rest = np.setdiff1d(np.arange(len(z)), np.concatenate([asked, chooses]))
        known, held_out, others = (z[rows].reshape(-1, z.shape[-1]) for rows in (rest, chooses, asked))
        found[asked] = chosen_mixture(known, held_out, 1, seed).score_samples(others).reshape(len(asked), -1)
    return found
