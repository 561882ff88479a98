"""What a report says of a table alone: how well the score finds anomalies, and how well each column is explained."""

from pathlib import Path
from typing import Any

from vae_pipeline import plots
from vae_pipeline.data.store import Prepared
from vae_pipeline.metrics.detection import NORMAL, anomaly_score, detection
from vae_pipeline.stages.trained import Trained


def describe(trained: Trained, prepared: Prepared, folder: Path) -> dict[str, Any]:
    """Draw into `folder`; returns the figures."""
    test = prepared.test
    if test.labels is None:
        return {}
    anomalous = test.labels != NORMAL
    score = anomaly_score(trained.model, test, next(trained.model.parameters()).device)
    figures = detection(score, anomalous)
    if figures:
        plots.scores(folder / "scores.png", score, anomalous)
    return figures
