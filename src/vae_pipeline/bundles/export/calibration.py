"""A bundle's record of its detector's calibration, and a check that its graph raises the model's alarms."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.detection import ALPHAS, MOST, detect
from vae_pipeline.metrics.parts import read, taken
from vae_pipeline.models.detector import Detector
from vae_pipeline.runtime.agreement import Units, differences
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.detection import alarms
from vae_pipeline.runtime.detector_entry import CalibrationEntry, DetectorEntry, SegmentsEntry
from vae_pipeline.system.errors import ParityError
from vae_pipeline.system.files import sha256_of

FILE = "calibration.npz"


@dataclass(frozen=True)
class Calibrated:
    """A detector, and what is to be known of its calibration."""

    detector: Detector
    collected: str | None
    """The time of the data's collection, in words."""
    chosen: bool
    """True if training chose its epoch by the part that calibrates, so that p-values are a little too low."""
    segments: SegmentsEntry | None = None
    """None where there is one threshold for all."""

    def write(self, folder: Path) -> DetectorEntry:
        """Fill calibration.npz; returns its entry in bundle.json."""
        tail = self.detector.calibration
        assert tail is not None
        np.savez(folder / FILE, scores=tail.scores.cpu().numpy())
        entry = CalibrationEntry(
            file=FILE,
            sha256=sha256_of(folder / FILE),
            part="valid",
            examples=tail.total,
            collected=self.collected,
            epoch_chosen_by_it=self.chosen,
        )
        detector = self.detector
        return DetectorEntry(detector.kind, len(detector.noise), entry, self.segments, detector.told)

    def said(self) -> str:
        """A section of the model card on training rows that the bundle holds; empty where it holds none."""
        if self.detector.neighbours is None:
            return ""
        count = self.detector.neighbours.kept.shape[1]
        return (
            f"\n## Rows inside\n\n**The graph detect holds {count:,} training rows**, scaled: whoever has it can read "
            "them. Where they are of people, or secret, so is this bundle.\n"
        )


@dataclass(frozen=True)
class AlarmParity:
    """A graph's detector beside the model's, on rows of the test part."""

    examples: int
    relative: float
    """Largest difference of a score, relative: `agreement.differences`."""
    flips: dict[str, int]
    """Examples for which the one alarms and the other doesn't, by alpha."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def alarm_parity(bundle: Bundle, detector: Detector, test: Split) -> AlarmParity:
    """Ask both about the test part, or its first ten thousand rows."""
    asked = taken(test, np.arange(min(MOST, len(test))))
    wanted = detect(detector, asked, torch.device("cpu"))
    seen = read(asked, slice(None), torch.device("cpu")).x.numpy()
    found = bundle.detect(bundle.spec.natural(seen), asked.labels if bundle.classes else None)
    _, relative = differences(found.score, wanted.score, Units(bundle.spec, detector.kind).of("score"))
    flips = {
        f"{alpha:g}": int((alarms(found.p_value, alpha) != alarms(wanted.p_value, alpha)).sum()) for alpha in ALPHAS
    }
    return AlarmParity(len(asked), relative, flips)


def require_alarms(parity: AlarmParity, tolerance: float) -> None:
    """Refuse a graph that alarms otherwise than the model.

    Raises:
        ParityError: says by how much.
    """
    if parity.relative > tolerance or any(parity.flips.values()):
        flips = ", ".join(f"{count} at alpha {alpha}" for alpha, count in parity.flips.items())
        raise ParityError(
            f"the graph detect differs from the model by {parity.relative:.3g} (relative; export.tolerance is "
            f"{tolerance:g}) in a score of {parity.examples} test examples; alarms that differ: {flips}. If none "
            f"differ, set export.tolerance over {parity.relative:.3g}; else take another detection.score, or more "
            "detection.draws"
        )
