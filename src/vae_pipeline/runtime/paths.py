"""Ways from one place in the latent space to another."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
FINE = 128  # places at which the length of a path is measured, at least


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


def evenly(seen: Callable[[Array], Array], place: Array) -> Array:
    """Places, as many as were given, at equal parts of the length of what is seen on the way."""
    fine = np.linspace(0, 1, max(FINE, 4 * len(place)))
    frames = seen(fine).reshape(len(fine), -1)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(frames, axis=0), axis=1))])
    return np.asarray(np.interp(place * length[-1], length, fine)) if length[-1] > 0 else place
