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
        """The values of bands, on straight lines between their middles."""
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


def most_bands(bins: int, rate_hz: int) -> int:
    """The most bands of which each holds a bin: the lowest one, which is the narrowest, ends beyond bin 1."""
    highest = rate_hz / 2
    return max(1, int(np.ceil(2 * mel(np.array(highest)) / mel(np.array(highest / (bins - 1))))) - 2)


def bank(bands: int, bins: int, rate_hz: int) -> Array:
    """Weights [bands, bins] with which each band averages the bins' power: triangles, each of the sum 1.

    Raises:
        RecipeError: the lowest bands would lie between two bins.
    """
    if bands > most_bands(bins, rate_hz):
        raise RecipeError(
            f"model.view.mel is {bands}, but the {bins} frequencies that a frame tells apart at {rate_hz:,} Hz make "
            f"{most_bands(bins, rate_hz)} bands at most: take so many, or a longer model.view.frame"
        )
    edges = hz(np.linspace(0, mel(np.array(rate_hz / 2)), bands + 2))
    frequencies, widths = np.linspace(0, rate_hz / 2, bins), np.diff(edges)[:, None]
    rising = (frequencies - edges[:-2, None]) / widths[:-1]
    falling = (edges[2:, None] - frequencies) / widths[1:]
    weights = np.minimum(rising, falling).clip(0)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _between(bands: int, bins: int, rate_hz: int) -> Array:
    """Weights [bins, bands] of straight lines between the bands' middles."""
    middles = np.linspace(0, mel(np.array(rate_hz / 2)), bands + 2)[1:-1]
    places = mel(np.linspace(0, rate_hz / 2, bins))
    return np.stack([np.interp(places, middles, one) for one in np.eye(bands)], axis=1)
