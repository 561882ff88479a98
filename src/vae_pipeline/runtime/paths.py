"""Ways from one place in the latent space to another, and the pace at which one goes along them."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
Seen = Callable[[Array], Array]
"""A way by its view: observations [places, *event] at places from 0 to 1 of it."""
FINE = 128  # places at which the length of a path is measured, at least
AT_A_TIME = 32  # places that are seen at once where they are only measured
ROUNDS, EVEN = 12, 0.01  # the most corrections of the pace, and the variation at which it is even


def path_between(start: Array, end: Array, place: Array, kind: Literal["linear", "spherical"]) -> Array:
    """[places, latents] on the way from `start`, which is place 0, to `end`, which is place 1.

    The spherical path turns the direction evenly and changes the length linearly, so that it stays where a
    Gaussian prior has its mass.

    Source: White, Sampling Generative Networks, 2016, section 3.1.

    Raises:
        DataError: there is no path of this kind.
    """
    if kind not in ("linear", "spherical"):
        raise DataError(f"there is no path {kind!r}: wanted linear or spherical")
    place = place[:, None]
    start, end = start.astype(np.float64), end.astype(np.float64)
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    if kind == "linear" or min(lengths) < 1e-8:
        return np.asarray(((1 - place) * start + place * end).astype(np.float32))
    first, last = start / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip(first @ last, -1, 1))
    if np.sin(angle) < 1e-4:
        return np.asarray(((1 - place) * start + place * end).astype(np.float32))
    direction = (np.sin((1 - place) * angle) * first + np.sin(place * angle) * last) / np.sin(angle)
    path = direction * ((1 - place) * lengths[0] + place * lengths[1])
    return np.asarray(path.astype(np.float32))


def step_sizes(seen: Seen, places: Array) -> Array:
    """The Euclidean distance of what is seen between each two neighbours of `places`, [places - 1].

    Some places are seen at a time, so that memory doesn't grow with their number.
    """
    sizes: list[Array] = []
    for at in range(0, len(places) - 1, AT_A_TIME):
        some = places[at : at + AT_A_TIME + 1]
        frames = seen(some).reshape(len(some), -1).astype(np.float64)
        sizes.append(np.linalg.norm(np.diff(frames, axis=0), axis=1))
    return np.concatenate(sizes)


def variation(sizes: Array) -> float:
    """The standard deviation of step sizes over their mean; 0 where nothing moves."""
    mean = sizes.mean()
    return float(sizes.std() / mean) if mean > 0 else 0.0


def evenly(seen: Seen, steps: int) -> Array:
    """Places from 0 to 1, as many as asked, between which what is seen changes by equal amounts.

    They begin at equal parts of the path's length. On a path that bends, equal parts aren't equally far apart: the
    pace is corrected by the steps that it makes, and the best of these paces is returned.
    """
    even = np.linspace(0, 1, steps)
    fine = np.linspace(0, 1, max(FINE, 4 * steps))
    found = _at_equal_lengths(even, fine, step_sizes(seen, fine))
    best, least = found, np.inf
    for _ in range(ROUNDS):
        sizes = step_sizes(seen, found)
        if variation(sizes) < least:
            best, least = found, variation(sizes)
        if least <= EVEN:
            break
        found = _at_equal_lengths(even, found, sizes)
    return best


def _at_equal_lengths(even: Array, places: Array, sizes: Array) -> Array:
    """Places at the given parts of a length that is known between `places`."""
    length = np.concatenate([[0.0], np.cumsum(sizes)])
    return np.asarray(np.interp(even * length[-1], length, places)) if length[-1] > 0 else even
