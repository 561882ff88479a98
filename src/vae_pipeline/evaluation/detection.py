"""A report's part on anomalies: how well the scores find them, and whether the thresholds keep their word."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.evaluation import plots
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.bounds import PerExample
from vae_pipeline.metrics.detection import MOST, NORMAL, alarm_share, credible, detect, detection, false_alarms
from vae_pipeline.metrics.parts import subset, taken
from vae_pipeline.metrics.segments import Segmentation
from vae_pipeline.models.detector import Detector

SEGMENTS = 0.05  # the alpha by which the false alarms of segments are shown


def describe(
    detector: Detector, prepared: Prepared, seed: int, folder: Path, by: Segmentation | None = None
) -> dict[str, Any]:
    """Draw into `folder`; returns the figures, false alarms `by` segments too."""
    device = next(detector.parameters()).device
    assert detector.calibration is not None
    told = prepared.tells_anomalies and prepared.test.labels is not None
    test = prepared.test if told else subset(prepared.test, MOST, seed)
    anomalous = np.not_equal(test.labels, NORMAL) if told and test.labels is not None else np.zeros(len(test), bool)
    found = detect(detector, test, device)
    figures: dict[str, Any] = {"score": detector.kind}
    if not anomalous.all():
        figures |= false_alarms(found.p_value[~anomalous], detector.calibration.total)
        if by is not None:
            normal_rows = by.rows(taken(test, np.flatnonzero(~anomalous)))
            figures[f"false_alarm_rate_{SEGMENTS}_by_segment"] = {
                name: alarm_share(found.p_value[~anomalous][rows], SEGMENTS)
                for name, rows in normal_rows.items()
                if len(rows) * SEGMENTS >= 1
            }
    named = detection(found.score, anomalous)
    if named:
        plots.scores(folder / "scores.png", found.score, anomalous, detector.kind)
        normal = int((~anomalous).sum())
        marked = credible(named, normal)
        figures |= marked | {"left_out": figures["left_out"] | marked["left_out"]}
        figures["scores"] = {kind: credible(detection(score, anomalous), normal) for kind, score in found.every.items()}
        if len(prepared.spec.classes) > 2:
            figures["auroc_by_kind"] = _by_kind(found.score, test, prepared.spec.classes)
    return figures


def _by_kind(score: PerExample, test: Split, classes: Sequence[str]) -> dict[str, float]:
    """The AUROC of each kind of anomaly alone."""
    assert test.labels is not None
    figures = {}
    for label, name in enumerate(classes):
        chosen = (test.labels == NORMAL) | (test.labels == label)
        found = detection(score[chosen], test.labels[chosen] != NORMAL)
        if found:
            figures[name] = found["auroc"]
    return figures
