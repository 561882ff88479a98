"""Bands on the mel scale, on which steps sound about as wide as each other.

    mel(f) = 2595 log10(1 + f / 700)        f in Hz

Source: O'Shaughnessy, Speech Communication: Human and Machine, 1987, for the scale; Davis and Mermelstein, Comparison
of Parametric Representations for Monosyllabic Word Recognition, 1980, for triangles that overlap by half.
"""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.system.errors import RecipeError

Array = npt.NDArray[np.float64]
Bins = Float[Tensor, "rows bins frames"]
Bands = Float[Tensor, "rows bands frames"]

STEPS = 8  # from a first guess of the bins' powers to those that have the bands' means
LEAST = 1e-4  # added to a power, in units of the floor, that is divided by


class Mel(nn.Module):
    """Powers of bins to those of bands, and about back."""

    averages: Tensor
    shares: Tensor
    between: Tensor

    def __init__(self, bands: int, bins: int, rate_hz: int) -> None:
        """Raises a RecipeError of too many bands."""
        super().__init__()
        averages = bank(bands, bins, rate_hz)
        self._keep("averages", averages)
        self._keep("shares", averages.T / np.maximum(averages.sum(0), 1e-9)[:, None])
        self._keep("between", _between(bands, bins, rate_hz))

    def _keep(self, name: str, weights: Array) -> None:
        self.register_buffer(name, torch.from_numpy(weights).float(), persistent=False)

    def forward(self, powers: Bins) -> Bands:
        """Each band's mean."""
        return self.averages @ powers

    def spread(self, values: Bands) -> Bins:
        """What bands have, on straight lines between their middles."""
        return self.between @ values

    def solved(self, means: Bands, guess: Bins) -> Bins:
        """Powers of bins, 0 or more, whose means are nearly these, near to a guess.

        Source: Lee and Seung, Algorithms for Non-negative Matrix Factorization, 2001, eq. 5, with one factor fixed.
        """
        for _ in range(STEPS):
            guess = guess * (self.shares @ (means / (self.averages @ guess + LEAST)))
        return guess


def mel(hz: Array) -> Array:
    """Mels of frequencies."""
    return np.asarray(2595 * np.log10(1 + hz / 700))


def hz(mels: Array) -> Array:
    """Frequencies of mels."""
    return np.asarray(700 * (10 ** (mels / 2595) - 1))


def bank(bands: int, bins: int, rate_hz: int) -> Array:
    """Weights [bands, bins] with which each band averages the bins' power: triangles, each of the sum 1.

    Raises:
        RecipeError: a band would lie between two bins.
    """
    frequencies = np.linspace(0, rate_hz / 2, bins)
    edges = hz(np.linspace(0, mel(np.array(rate_hz / 2)), bands + 2))
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    weights = np.minimum(rising, falling).clip(0)
    sums = weights.sum(1, keepdims=True)
    if not sums.all():
        raise RecipeError(
            f"model.view.mel is {bands}, but {int((sums == 0).sum())} of its bands lie between two of the {bins} "
            f"frequencies that a frame tells apart at {rate_hz:,} Hz: take fewer bands, or a longer model.view.frame"
        )
    return np.asarray(weights / sums)


def _between(bands: int, bins: int, rate_hz: int) -> Array:
    """Weights [bins, bands] of straight lines between the bands' middles."""
    middles = np.linspace(0, mel(np.array(rate_hz / 2)), bands + 2)[1:-1]
    places = mel(np.linspace(0, rate_hz / 2, bins))
    return np.stack([np.interp(places, middles, one) for one in np.eye(bands)], axis=1)
