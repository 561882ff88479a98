"""One measure of the distance of a graph's answer from the one that was wanted, for all that compare."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import DataSpec
from vae_pipeline.runtime.manifest import Manifest

Array = npt.NDArray[Any]
VALUES = ("x_mean", "x_clean", "x_low", "x_high", "x_drawn")
"""Outputs that are observations, in the data's units."""
LOG_DENSITIES = ("negative_elbo", "distortion", "reconstruction_probability", "importance_bound", "left_out")
"""Outputs, and kinds of `score` and contributions, that sum a term of either sign for each value of an observation."""


@dataclass(frozen=True)
class Units:
    """The scale that a difference is relative to, beside the size of the answer itself."""

    spec: DataSpec
    score: str | None = None
    """The kind of the detector's output `score`, where there is a detector."""
    contributions: str = "distortion"
    """The kind of the detector's output `contributions`."""

    @classmethod
    def of_manifest(cls, manifest: Manifest) -> "Units":
        """Give the units of a bundle's graphs."""
        told = manifest.detection
        return cls(manifest.spec) if told is None else cls(manifest.spec, told.score, told.contributions)

    def of(self, output: str) -> float | Array:
        """1 for most outputs; for observations the data's unit: the width of a range, or a scaled unit of each column.

        For a log-density, the number of its terms: each term is rounded relative to its own size, and their sum may
        come to next to nothing.
        """
        measured = self.score if output == "score" else output
        if output == "contributions" and self.contributions == "left_out":
            measured = "left_out"
        if measured in VALUES:
            return np.asarray(self.spec.unit)
        return float(self.spec.dimensions or 1) if measured in LOG_DENSITIES else 1.0


def differences(given: Array, wanted: Array, unit: float | Array) -> tuple[float, float]:
    """The largest |given - wanted|, and the largest |given - wanted| / (unit + |wanted|)."""
    apart = np.abs(given.astype(np.float64) - wanted.astype(np.float64))
    return float(apart.max()), float((apart / (unit + np.abs(wanted))).max())
