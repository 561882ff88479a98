"""Gaussian mixtures of full covariance as densities of the aggregate posterior, by EM (scikit-learn)."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.parts import batches, subset, taken
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

MOST = 80  # components
POINTS = 20_000  # draws that a mixture is fitted to
Array = npt.NDArray[Any]


def mixture(z: Array, components: int, seed: int) -> "GaussianMixture":
    """The mixture of so many components that is likeliest for z [draws, latents]."""
    from sklearn.mixture import GaussianMixture  # noqa: PLC0415 (two seconds and 170 MiB, for this alone)

    drawn = derive(seed, "mixture") % 2**32
    fit = GaussianMixture(min(components, len(z)), reg_covar=1e-4, max_iter=200, random_state=drawn)
    with threadpool_limits(1):  # threads that share such small products wait for each other: four times as slow on two
        return fit.fit(z.astype(np.float64))


def chosen_mixture(z: Array, held_out: Array, seed: int) -> "GaussianMixture":
    """Components double from one on, up to `MOST`, for as long as the held-out draws become likelier."""
    best, components = mixture(z, 1, seed), 2
    while components <= min(MOST, len(z)):
        more = mixture(z, components, seed)
        if more.score(held_out) <= best.score(held_out):
            break
        best, components = more, 2 * components
    return best


@torch.inference_mode()
def posterior_draws(model: VAE, split: Split, seed: int, points: int = POINTS) -> Array:
    """Draws of the aggregate posterior [points, latents]: of each of at most so many examples as many as fit."""
    some = subset(split, points, seed)
    device = next(model.parameters()).device
    draws = torch.Size([max(1, points // len(some))])
    with seeded(derive(seed, "aggregate")), evaluating(model):
        drawn = [
            model.encode(rows.x, rows.label).rsample(draws).flatten(0, 1).cpu()
            for rows in batches(some, device, "draws of the aggregate posterior")
        ]
    return torch.cat(drawn).numpy()


def without_a_tenth(split: Split, points: int, seed: int) -> tuple[Split, Split]:
    """Some examples of a part to fit to, and a tenth of them to judge by."""
    some = subset(split, points, seed)
    tenth = np.arange(len(some)) % 10 == 0
    return taken(some, np.flatnonzero(~tenth)), taken(some, np.flatnonzero(tenth))
