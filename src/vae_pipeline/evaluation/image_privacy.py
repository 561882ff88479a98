"""A report's part on what a model of images gives away: the audit's figures, and the nearest pairs in pixels."""

import dataclasses
from pathlib import Path
from typing import Any

from vae_pipeline.evaluation import plots
from vae_pipeline.kinds.image.pictures import to_pixels
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.detection import normal_part
from vae_pipeline.metrics.features import reference
from vae_pipeline.metrics.image_privacy import Pixels, audit
from vae_pipeline.metrics.memorised import memorised, too_few_to_compare
from vae_pipeline.models.vae import VAE

SHARES = ("nearer_than_any_test", "half_as_far")


def describe(model: VAE, prepared: Prepared, spec: ImageSpec, seed: int, home: Path, folder: Path) -> dict[str, Any]:
    """Draw into `folder`; returns the figures. `home` keeps the classifier whose features samples are compared by."""
    prepared = dataclasses.replace(prepared, test=normal_part(prepared))
    features = reference(prepared, home, next(model.parameters()).device)
    found = audit(model, prepared, features, seed)
    copies = memorised(model, prepared, Pixels(**vars(features)), seed)
    originals = to_pixels(copies.originals.x[:], spec.low, spec.high)
    plots.pairs(folder / "closest_in_pixels.png", to_pixels(copies.samples, 0, 1), originals)
    if not copies.figures:
        reason = too_few_to_compare(prepared)
        return found | {"left_out": {**{f"{name}_in_pixels": reason for name in SHARES}, **found["left_out"]}}
    return found | {f"{name}_in_pixels": copies.figures[name] for name in SHARES}
