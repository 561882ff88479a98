"""The way from a recipe's model section and a DataSpec to a VAE; configuration ends here and in `building`."""

from typing import assert_never

from vae_pipeline.kinds.spec import AudioSpec, DataSpec, ImageSpec, TableSpec, TextSpec
from vae_pipeline.models.building.audio import audio_model
from vae_pipeline.models.building.image import image_model
from vae_pipeline.models.building.table import table_model
from vae_pipeline.models.building.text import text_model
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe import model as recipe
from vae_pipeline.system.errors import RecipeError


def build(model: recipe.AnyModel, spec: DataSpec) -> VAE:
    """A VAE with fresh weights, drawn from torch's global generator.

    Raises:
        RecipeError: the model doesn't fit the data.
    """
    classes = len(spec.classes) if model.conditional else 0
    if model.conditional and not classes:
        raise RecipeError("model.conditional is true, but the data have no labels: set it to false, or give labels")
    match spec:
        case ImageSpec():
            return image_model(model, spec, classes)
        case AudioSpec():
            return audio_model(model, spec, classes)
        case TableSpec():
            return table_model(model, spec)
        case TextSpec():
            return text_model(model, spec)
        case _:
            assert_never(spec)
