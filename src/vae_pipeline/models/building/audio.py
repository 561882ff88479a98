"""Models of sound: the view that the recipe names, and a model of what it shows."""

from typing import assert_never

from vae_pipeline.kinds.spec import AudioSpec
from vae_pipeline.models.building.image import seen_model
from vae_pipeline.models.building.seen import Seen
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.sound.view import SpectrogramScaling
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe import model as recipe
from vae_pipeline.system.errors import RecipeError


def audio_model(model: recipe.AnyModel, spec: AudioSpec, classes: int) -> VAE:
    """A VAE of recordings, conditional on so many classes."""
    assert model.view is not None  # the recipe says so
    return seen_model(model, seen(model.view, spec), classes)


def seen(view: recipe.View, spec: AudioSpec) -> Seen:
    """Recordings in a view.

    Raises:
        RecipeError: there are too many mel bands for the frame, or the view is of images.
    """
    match view:
        case recipe.WaveformView():
            return Seen(Scaling(-1.0, 1.0), spec.event_shape, "waveforms")
        case recipe.SpectrogramView():
            shape = (spec.channels, spec.length)
            scaling = SpectrogramScaling(
                shape, spec.rate_hz, view.frame, view.hop, view.mel, view.floor_db, view.griffin_lim
            )
            return Seen(scaling, scaling.shape, "spectrograms")
        case recipe.HogView() | recipe.LogGradientView() | recipe.OnnxView():
            raise RecipeError(f"model.view.kind {view.kind} is of images, and the data are sound: take spectrogram")
        case _:
            assert_never(view)
