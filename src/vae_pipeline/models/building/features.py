"""The features of images that a recipe's view names."""

from pathlib import Path
from typing import assert_never

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.models.building.seen import Seen
from vae_pipeline.models.features.backbone import Backbone
from vae_pipeline.models.features.gradient import LogGradient
from vae_pipeline.models.features.hog import Hog
from vae_pipeline.models.features.places import View
from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.recipe import model as recipe
from vae_pipeline.system.errors import RecipeError


def features_seen(view: recipe.View, spec: ImageSpec) -> Seen:
    """Images in a view.

    Raises:
        RecipeError: the view doesn't fit their shape, or its network can't be used.
    """
    found = _view(view, spec)
    return Seen(FeatureScaling(found), found.shape, "features")


def _view(view: recipe.View, spec: ImageSpec) -> View:
    width = spec.high - spec.low
    match view:
        case recipe.HogView():
            return Hog(spec.shape, width, view.cell, view.block, view.orientations)
        case recipe.LogGradientView():
            return LogGradient(spec.shape, width, view.cell)
        case recipe.OnnxView():
            return Backbone(spec.shape, Scaling(spec.low, spec.high), Path(view.file), view.sha256)
        case recipe.WaveformView() | recipe.SpectrogramView():
            raise RecipeError(f"model.view.kind {view.kind} is of sound, and the data are images: leave it out")
        case _:
            assert_never(view)
