"""Figures and pictures that one kind of observation has, beside those that all have."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from vae_pipeline.evaluation import audio, defects, denoising, image_privacy, images, sound_denoising, tables
from vae_pipeline.kinds.spec import AudioSpec, ImageSpec, TableSpec, TextSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.latents import Latents
from vae_pipeline.metrics.sentences import sentence_figures
from vae_pipeline.models.detector import Detector
from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.models.table import TableVAE
from vae_pipeline.training.trained import Trained


@dataclass(frozen=True)
class Evaluation:
    """A trained model, the data that it is measured on, and what was measured of any kind."""

    trained: Trained
    prepared: Prepared
    detector: Detector | None
    used: Latents
    metrics: Mapping[str, Any]
    target: str | None
    """The column that classifiers of a table's drawn rows foretell."""
    seed: int
    home: Path
    """The folder that keeps the classifier by whose features samples are compared."""
    audited: bool = False
    """True if samples of images are asked what they tell of who was trained on."""


def describe(of: Evaluation, folder: Path) -> dict[str, Any]:
    """Draw into `folder`; returns the figures of the test part."""
    match of.prepared.spec:
        case ImageSpec() as spec:
            figures: dict[str, Any] = {}
            if not isinstance(of.trained.model.scaling, FeatureScaling):  # of which no image is made
                figures |= images.describe(of.trained, of.prepared, spec, of.used, of.seed, of.home, folder)
                figures |= denoising.describe(of.trained, of.prepared, spec, of.seed, folder)
            if of.audited:
                found = image_privacy.describe(of.trained.model, of.prepared, spec, of.seed, of.home, folder)
                figures |= found | {"left_out": {**figures.get("left_out", {}), **found["left_out"]}}
            if of.prepared.tells_anomalies and of.detector is not None:
                figures |= defects.describe(of.trained, of.detector, of.prepared, spec, of.seed, folder)
            return figures
        case AudioSpec() as spec:
            figures = audio.describe(of.trained, of.prepared, spec, of.seed, of.home, folder)
            return figures | sound_denoising.describe(of.trained, of.prepared, spec, of.seed, folder)
        case TableSpec() as spec:
            assert isinstance(of.trained.model, TableVAE)  # the builder says so
            return tables.describe(of.trained.model, of.prepared, spec, of.target, of.seed, folder)
        case TextSpec() as spec:
            device = next(of.trained.model.parameters()).device
            return sentence_figures(of.trained.model, of.prepared, spec, of.metrics, of.seed, device)
        case _:
            assert_never(of.prepared.spec)
