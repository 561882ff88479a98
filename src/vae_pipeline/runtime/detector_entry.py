"""The manifest's entry on a detector: its score, and what it was calibrated on."""

import math
import warnings
from dataclasses import dataclass
from typing import Literal

from vae_pipeline.runtime.inside import require_inside
from vae_pipeline.system.errors import DataError

WIDEST = 2**16  # draws


@dataclass(frozen=True)
class CalibrationEntry:
    """The file of the scores of examples held back, and facts about them."""

    file: str
    sha256: str
    part: str
    examples: int
    collected: str | None
    """The time of the data's collection, in words."""
    epoch_chosen_by_it: bool
    """True if training chose its epoch by these examples, so that p-values are a little too low."""

    def __post_init__(self) -> None:
        require_inside(self.file)
        if self.examples < 1:
            raise ValueError(f"examples are {self.examples}; wanted 1 or more")


@dataclass(frozen=True)
class SegmentsEntry:
    """The segments of examples whose p-values are among their own."""

    by: str
    """The column of a table whose values they are; or `label`."""
    own: dict[str, int]
    """The calibration examples of each segment that has a tail of its own."""
    shared: dict[str, int]
    """The same of the others, which are too few: p-values are among all, as those of unknown segments are."""

    def __post_init__(self) -> None:
        if min(self.own.values(), default=1) < 1 or min(self.shared.values(), default=0) < 0:
            raise ValueError("a segment has a number of examples that can't be")


@dataclass(frozen=True)
class DetectorEntry:
    """The score, draws and calibration of `detect`."""

    score: str
    draws: int
    calibration: CalibrationEntry
    segments: SegmentsEntry | None = None
    """None where there is one threshold for all."""
    contributions: Literal["distortion", "left_out"] = "distortion"
    """The nats that are told of each value: of its distortion, or by which its row is likelier without the column."""

    def __post_init__(self) -> None:
        if not 1 <= self.draws <= WIDEST:
            raise ValueError(f"draws are {self.draws}; wanted 1 to {WIDEST}")

    @property
    def least_alpha(self) -> float:
        """The lowest false-alarm rate that the calibration can tell."""
        return 1 / (self.calibration.examples + 1)

    def require(self, alpha: float) -> None:
        """Refuse a false-alarm rate that can't be told; warn of segments in which it can't.

        Raises:
            DataError: the calibration is too small.
        """
        if not self.least_alpha <= alpha < 1:
            raise DataError(
                f"alpha {alpha:g} was given; this calibration, of {self.calibration.examples} examples, tells "
                f"false-alarm rates from {self.least_alpha:.2g} to 1"
            )
        own = self.segments.own if self.segments else {}
        small = [f"{name} ({count})" for name, count in own.items() if 1 / (count + 1) > alpha]
        if small:
            warnings.warn(
                f"alpha {alpha:g} takes {math.ceil(1 / alpha) - 1} calibration examples, and these segments have "
                f"fewer, so that none of theirs is an alarm: {', '.join(small)}",
                UserWarning,
                stacklevel=3,
            )
