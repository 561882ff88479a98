"""Morphs: ways through several observations as one sequence of frames, and what can be measured of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vae_pipeline.runtime.paths import FINE, Array, Seen, evenly, step_sizes, variation
from vae_pipeline.system.errors import DataError

STEPS = 24
"""The steps from each observation to the next, unless a caller says otherwise."""


@dataclass(frozen=True)
class Measures:
    """Measures of a way, in Euclidean distances of decoded observations; None where two ends look alike."""

    step_variation: float
    """The standard deviation of the step sizes over their mean: 0 is an even pace."""
    length_over_chord: float | None
    """The way's length over the distance of its ends: 1 is a cross-fade, and no way is shorter."""
    midpoint_distance: float | None
    """The distance from the middle of the length to the nearer end, over that of the ends: 0.5 in a cross-fade."""


@dataclass(frozen=True)
class Morph:
    """A sequence of frames through several observations."""

    frames: Array
    """[frames, *event], in the data's units; held ones are repeated."""
    ways: tuple[Measures, ...]
    """The way from each observation to the next."""
    whole: Measures
    """All steps together; the sum of lengths over that of chords; the largest distance of a midpoint."""


def morph(ways: Sequence[Seen], frames: int | None, even: bool, hold: int, loop: bool) -> Morph:
    """Go along all ways, each of which begins where the one before it ends, in so many frames.

    Each end has a frame of its own, which is repeated `hold` times; a loop leaves out its last frame, which is its
    first. `even` gives each way steps in proportion to its length, and spaces them evenly within it.

    Raises:
        DataError: there are fewer frames than ends, or `hold` is negative.
    """
    frames = STEPS * len(ways) + 1 if frames is None else frames
    if frames <= len(ways):
        raise DataError(
            f"{frames} frames were asked for, and the morph goes through {len(ways) + 1} stops"
            f"{', the first at its end again' if loop else ''}: ask for as many frames at least"
        )
    if hold < 0:
        raise DataError(f"each stop is to be held for {hold} frames: wanted 0 or more")
    fine = [step_sizes(seen, np.linspace(0, 1, FINE)) for seen in ways]
    counts = _shared(frames - 1, np.array([sizes.sum() for sizes in fine]) if even else np.ones(len(ways)))
    walked = [_Walked.along(*each, even) for each in zip(ways, fine, counts, strict=True)]
    sequence = np.concatenate([walked[0].frames, *(each.frames[1:] for each in walked[1:])])
    times = np.ones(len(sequence), np.int64)
    times[np.cumsum([0, *counts])] += hold
    times[-1] = 0 if loop else times[-1]
    return Morph(np.repeat(sequence, times, axis=0), tuple(each.measures() for each in walked), _whole(walked))


@dataclass(frozen=True)
class _Walked:
    """A way in frames, with distances on it."""

    frames: Array
    sizes: Array
    """The distance from each frame to the next."""
    length: float
    chord: float
    middle: float
    """The distance from the middle of the length to the nearer end."""

    @classmethod
    def along(cls, seen: Seen, fine: Array, steps: int, even: bool) -> "_Walked":
        places = evenly(seen, steps + 1) if even else np.linspace(0, 1, steps + 1)
        frames = seen(places)
        flat = frames.reshape(len(frames), -1).astype(np.float64)
        length = np.concatenate([[0.0], np.cumsum(fine)])
        halfway = np.interp([length[-1] / 2], length, np.linspace(0, 1, FINE))
        away = np.linalg.norm(flat[[0, -1]] - seen(halfway).reshape(1, -1), axis=1)
        sizes = np.linalg.norm(np.diff(flat, axis=0), axis=1)
        return cls(frames, sizes, length[-1], float(np.linalg.norm(flat[-1] - flat[0])), away.min())

    def measures(self) -> Measures:
        return Measures(variation(self.sizes), _ratio(self.length, self.chord), _ratio(self.middle, self.chord))


def _whole(walked: Sequence[_Walked]) -> Measures:
    middles = [each.middle / each.chord for each in walked if each.chord > 0]
    return Measures(
        variation(np.concatenate([each.sizes for each in walked])),
        _ratio(sum(each.length for each in walked), sum(each.chord for each in walked)),
        max(middles, default=None),
    )


def _ratio(part: float, of: float) -> float | None:
    return float(part / of) if of > 0 else None


def _shared(steps: int, lengths: Array) -> list[int]:
    """Steps for each way, one at least; each further one goes where steps are longest."""
    counts = np.ones(len(lengths), np.int64)
    for _ in range(steps - len(lengths)):
        counts[(lengths / counts).argmax()] += 1
    return counts.tolist()
