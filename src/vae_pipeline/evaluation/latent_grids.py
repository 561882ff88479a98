"""Latents whose decoded images make a picture of the latent space: a plane of it, or its dimensions one by one."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Array = npt.NDArray[Any]


def plane(side: int) -> Array:
    """A [side * side, 2] grid of N(0, I)'s quantiles, first axis rightwards and second upwards.

    Source: Kingma and Welling, 2014, figure 4.
    """
    quantiles = ndtri((np.arange(side) + 0.5) / side)
    right, up = np.meshgrid(quantiles, quantiles[::-1])
    return np.stack([right.ravel(), up.ravel()], axis=1).astype(np.float32)


def traversals(mean: Array, dimensions: Array, steps: int = 9, reach: float = 2.5) -> Array:
    """Latents [dimensions * steps, latents]: each dimension in turn from -reach to reach, the others at `mean`."""
    latents = np.tile(mean, (len(dimensions), steps, 1))
    for row, dimension in enumerate(dimensions):
        latents[row, :, dimension] = np.linspace(-reach, reach, steps)
    return latents.reshape(-1, len(mean)).astype(np.float32)
