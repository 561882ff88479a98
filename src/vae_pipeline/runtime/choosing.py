"""The choice of each next token: the likeliest one, one that is drawn, or by a search."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
BLOCK = 128  # classes, whose probabilities are summed up before one of them is looked for


@dataclass(frozen=True)
class Choice:
    """The way in which each next token is chosen from its distribution.

    Source: Fan, Lewis and Dauphin, Hierarchical Neural Story Generation, 2018, for `top_k`; Holtzman et al., The
    Curious Case of Neural Text Degeneration, 2020, for `top_p`.
    """

    kind: Literal["greedy", "sample", "beam"]
    """The likeliest one; one drawn; or the sentence that a search finds to have the likeliest tokens on average."""
    temperature: float = 1.0
    """For `sample`: log-probabilities are divided by it."""
    top_k: int | None = None
    """For `sample`: draw from the k likeliest alone."""
    top_p: float | None = None
    """For `sample`: draw from the fewest that have this probability together."""
    beams: int = 4
    """For `beam`: the number of beginnings that are kept."""

    def __post_init__(self) -> None:
        if self.kind not in ("greedy", "sample", "beam"):
            raise DataError(f"tokens can't be chosen by {self.kind!r}: wanted greedy, sample or beam")
        drawn = self.temperature != 1 or self.top_k is not None or self.top_p is not None
        if drawn and self.kind != "sample":
            raise DataError(
                f"temperature, top-k and top-p apply to drawn tokens, and {self.kind} draws none: take sample"
            )
        k, p = 1 if self.top_k is None else self.top_k, 1.0 if self.top_p is None else self.top_p
        if not self.temperature > 0 or k < 1 or not 0 < p <= 1 or self.beams < 1:
            raise DataError(
                f"temperature {self.temperature:g}, top-k {self.top_k}, top-p {self.top_p}, beams {self.beams} were "
                "given; wanted a temperature over 0, k and beams of 1 or more, p over 0 and up to 1"
            )


GREEDY, SAMPLE = Choice("greedy"), Choice("sample")


def chosen(log_probability: Array, choice: Choice, drawn: Array) -> Array:
    """A class a row by its log-probabilities [rows, classes]; `drawn` are numbers in [0, 1), one a row."""
    if choice.kind == "greedy":
        return np.asarray(log_probability.argmax(axis=1))
    if choice.temperature != 1:
        log_probability = log_probability - log_probability.max(axis=1, keepdims=True)
        log_probability = np.maximum(log_probability / choice.temperature, -1e4, dtype=np.float64)
    p = np.exp(log_probability)
    if choice.top_k is not None or choice.top_p is not None:
        p[p < _least(p, choice)] = 0
    # First the block that the draw falls into, then its place there: a running sum over all classes takes longest.
    ends = np.add.reduceat(p, np.arange(0, p.shape[1], BLOCK), axis=1, dtype=np.float64).cumsum(axis=1)
    wanted = drawn * ends[:, -1]
    block = (ends <= wanted[:, None]).sum(axis=1)
    wanted -= np.take_along_axis(np.pad(ends, ((0, 0), (1, 0))), block[:, None], 1)[:, 0]
    places = block[:, None] * BLOCK + np.arange(BLOCK)
    inside = np.where(places < p.shape[1], np.take_along_axis(p, np.minimum(places, p.shape[1] - 1), 1), 0)
    reached = inside.cumsum(axis=1, dtype=np.float64)
    likeliest = inside.argmax(axis=1)  # where rounding leaves nothing over, in place of what can't be drawn
    place = (reached <= wanted[:, None]).sum(axis=1)
    possible = np.take_along_axis(inside, np.minimum(place, BLOCK - 1)[:, None], 1)[:, 0] > 0
    return np.asarray(block * BLOCK + np.where((place < BLOCK) & possible, place, likeliest))


def _least(p: Array, choice: Choice) -> Array:
    """The least probability that may be drawn, [rows, 1]; values alone are sorted, which is fast."""
    falling = np.sort(p, axis=1)[:, ::-1]
    if choice.top_k is not None:
        falling = falling[:, : choice.top_k]
    if choice.top_p is None:
        return falling[:, -1:]
    before = falling.cumsum(axis=1) - falling
    kept = (before < choice.top_p * falling.sum(axis=1, keepdims=True)).sum(axis=1, keepdims=True)
    return np.asarray(np.take_along_axis(falling, kept - 1, 1))
