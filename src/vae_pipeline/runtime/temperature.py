"""Temperatures: the noise of a draw made smaller or larger, level by level.

A level of a ladder draws from N(mean, scale²) given those above it: noise times T draws from N(mean, (T scale)²). So T
under 1 keeps nearer to each level's mean, and T = 0 is the mean itself, level by level; samples become likelier, and
less diverse, and are no longer draws of the model. Of a sampler that first chooses a component, the choice is left.

Source: Vahdat and Kautz, NVAE, 2020, section 4; Child, Very Deep VAEs, 2021, section 4.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vae_pipeline.system.errors import DataError

Temperature = float | Sequence[float]
"""One for all levels, or one for each, topmost first."""


def factors(temperature: Temperature, levels: Sequence[int], noise: int) -> npt.NDArray[np.float32]:
    """The factors of so many numbers of noise, 1 for those before the latents' own, which choose a component.

    Raises:
        DataError: a temperature is negative or no number, or their count is neither 1 nor that of the levels.
    """
    given = np.atleast_1d(np.asarray(temperature, np.float32))
    if len(given) not in (1, len(levels)) or not (np.isfinite(given) & (given >= 0)).all():
        wanted = "one number" if len(levels) == 1 else f"one number for all {len(levels)} levels, or one for each"
        raise DataError(f"temperature {', '.join(f'{each:g}' for each in given)} was given; wanted {wanted}, from 0")
    own = np.repeat(np.broadcast_to(given, len(levels)), levels)
    return np.concatenate([np.ones(noise - len(own), np.float32), own])


def drawn(
    count: int, seed: int | np.random.Generator, temperature: Temperature, levels: Sequence[int], noise: int
) -> npt.NDArray[np.float32]:
    """Standard normal noise at a temperature, [count, noise].

    Raises:
        DataError: the temperature is none.
    """
    scale = factors(temperature, levels, noise)
    return scale * np.random.default_rng(seed).standard_normal((count, noise)).astype(np.float32)


def temperatures(text: str) -> list[float]:
    """The temperatures of a text such as `0.7` or `0.7,1,1`.

    Raises:
        DataError: a part of it is no number.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise DataError(f"temperature {text!r} was given; wanted a number, or several with commas between") from error


def one(given: Sequence[float]) -> float:
    """The temperature of tokens, which have no levels.

    Raises:
        DataError: there are several.
    """
    if len(given) != 1:
        raise DataError(f"{len(given)} temperatures were given; tokens have one: give --temperature one number")
    return given[0]
