"""Pictures larger than a model's images: judged in tiles that overlap, with one heat map for the whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.runtime.detector_entry import DetectorEntry
from vae_pipeline.system.errors import DataError

if TYPE_CHECKING:
    from vae_pipeline.runtime.bundle import Bundle

TILES = 256
"""Tiles that are judged at once."""
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Inspection:
    """The judgement of one picture."""

    heat_map: Array
    """[height, width]: nats of distortion over what is usual, the weighted mean of the tiles that a pixel is in."""
    corners: Array
    """[tiles, 2]: the top and left of each tile."""
    scores: Array
    """[tiles]: the score of the recipe's kind."""
    p_values: Array
    """[tiles]: the share of normal tiles that are at least as anomalous."""

    @property
    def score(self) -> float:
        """The score of the most anomalous tile."""
        return float(self.scores.max())

    @property
    def hottest(self) -> int:
        """The number of the most anomalous tile."""
        return int(self.scores.argmax())

    @property
    def p_value(self) -> float:
        """The p-value of the whole picture: the least of its tiles times their number (Bonferroni), at most 1.

        It holds however much tiles depend on each other.
        """
        return min(1.0, float(self.p_values.min()) * len(self.p_values))

    def require(self, alpha: float, detector: DetectorEntry) -> None:
        """Refuse a false-alarm rate of pictures that so few calibrated tiles can't tell.

        Raises:
            DataError: it is one.
        """
        tiles = len(self.p_values)
        least = tiles * detector.least_alpha
        if not least <= alpha < 1:
            raise DataError(
                f"alpha {alpha:g} was given; {detector.calibration.examples} calibrated tiles tell false-alarm rates "
                f"of pictures of {tiles} tiles from {least:.2g} to 1: let tiles overlap less, or calibrate on more"
            )


def inspect(bundle: "Bundle", picture: Array, overlap: int | None = None, label: int | str | None = None) -> Inspection:
    """Judge a raw picture [channels, height, width] of any size that isn't under the model's.

    Neighbouring tiles share `overlap` pixels, half of a tile unless it is given; the last of a row or column reaches
    to the edge. A pixel of the heat map weighs the tiles by how far it lies from their edges.

    Raises:
        DataError: the picture is too small, has other channels, or `overlap` isn't under a tile's shorter side.
        BundleError: the model has no detector.
    """
    channels, *sides = bundle.spec.event_shape
    shape = tuple(picture.shape)
    if len(shape) != 3 or shape[0] != channels or shape[1] < sides[0] or shape[2] < sides[1]:
        raise DataError(
            f"a picture of {list(shape)} was given; wanted [{channels}, {sides[0]} or more, {sides[1]} or more]"
        )
    if overlap is None:
        overlap = min(sides) // 2
    if not 0 <= overlap < min(sides):
        raise DataError(f"an overlap of {overlap} was given; wanted 0 to {min(sides) - 1}, as tiles are {sides}")
    corners = list(product(*(_starts(length, side, overlap) for length, side in zip(shape[1:], sides, strict=True))))
    weight = np.outer(*(np.minimum(np.arange(side) + 1, side - np.arange(side)) for side in sides))
    heat, total = np.zeros(shape[1:]), np.zeros(shape[1:])
    scores, p_values = [], []
    for some in _parts(corners):
        tiles = np.stack([picture[:, top : top + sides[0], left : left + sides[1]] for top, left in some])
        found = bundle.detect(tiles, label)
        scores.append(found.score)
        p_values.append(found.p_value)
        for (top, left), map_ in zip(some, found.contributions.sum(axis=1), strict=True):
            place = np.s_[top : top + sides[0], left : left + sides[1]]
            heat[place] += weight * map_
            total[place] += weight
    whole = (heat / total).astype(np.float32)
    return Inspection(whole, np.array(corners), np.concatenate(scores), np.concatenate(p_values))


def _starts(length: int, side: int, overlap: int) -> list[int]:
    last = length - side
    return [*range(0, last, side - overlap), last]


def _parts(corners: list[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    return (corners[start : start + TILES] for start in range(0, len(corners), TILES))
