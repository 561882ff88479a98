"""A report's part on images with defects: where these are, by our model and by simpler ones."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.evaluation import plots
from vae_pipeline.kinds.image.pictures import to_pixels
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.baselines import VALUES
from vae_pipeline.metrics.detection import NORMAL, auroc_error, detection, heat, spread
from vae_pipeline.metrics.heat_maps import aupro, highest, off_neighbours, off_plane, pixel_auroc, smoothed
from vae_pipeline.metrics.parts import subset
from vae_pipeline.models.detector import Detector
from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.training.trained import Trained

COLUMNS = 12


def describe(
    trained: Trained, detector: Detector, prepared: Prepared, spec: ImageSpec, seed: int, folder: Path
) -> dict[str, Any]:
    """Draw into `folder`; returns the figures of as many test images as may be in memory at once."""
    most = max(1, VALUES // spec.dimensions)
    test = subset(prepared.test, most, seed)
    assert test.labels is not None  # they tell the anomalies
    anomalous, drawn = test.labels != NORMAL, derive(seed, "evaluate")
    maps = {"": heat(detector, test, next(detector.parameters()).device)}
    _draw(test, maps[""], spec, seed, folder / "heat_maps.png")
    scaling = trained.model.scaling
    simpler = {
        "pca_": off_plane(prepared.train, spec, trained.model.latents, drawn, scaling),
        "knn_": off_neighbours(prepared.train, spec, drawn, scaling),
    }
    figures: dict[str, Any] = {}
    for name, other in simpler.items():
        found = other(test)
        maps[name] = spread(detector, found) if isinstance(scaling, FeatureScaling) else smoothed(found.sum(axis=1))
        figures[f"{name}auroc"] = detection(found.sum(axis=(1, 2, 3), dtype=np.float64), anomalous).get("auroc")
    for name, hot in maps.items():
        hottest = detection(highest(hot), anomalous)
        if hottest:
            figures[f"{name}heat_auroc"] = hottest["auroc"]
            error = auroc_error(hottest["auroc"], hottest["anomalies"], len(test) - hottest["anomalies"])
            figures[f"{name}heat_auroc_standard_error"] = error
        if test.masks is not None:
            figures[f"{name}pixel_auroc"] = pixel_auroc(hot, test.masks[:])
            figures[f"{name}aupro"] = aupro(hot, test.masks[:])
    return {name: value for name, value in figures.items() if value is not None}


def _draw(test: Split, heat: npt.NDArray[Any], spec: ImageSpec, seed: int, path: Path) -> None:
    """Images drawn from each kind, as many of one as of another; not those that came out best."""
    assert test.labels is not None
    draw = np.random.default_rng(derive(seed, "heat maps"))
    kinds = np.unique(test.labels)
    each = max(1, COLUMNS // len(kinds))
    chosen = np.concatenate([draw.permutation(np.flatnonzero(test.labels == kind))[:each] for kind in kinds])
    pixels = to_pixels(test.x[chosen], spec.low, spec.high)
    masks = None if test.masks is None else test.masks[chosen]
    plots.heat_maps(path, pixels, heat[chosen], masks, [spec.classes[label] for label in test.labels[chosen]])
