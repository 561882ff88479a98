"""The weights that a run begins with, where its recipe names some, and the part of them that it trains."""

from pathlib import Path

from vae_pipeline.kinds.spec import DataSpec
from vae_pipeline.models.diffusers import weights as diffusers
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe import TrainedRecipe


def begin(model: VAE, recipe: TrainedRecipe, spec: DataSpec) -> None:
    """Give a model with fresh weights those that its recipe starts from, and freeze what it doesn't train.

    Raises:
        WeightsError: they can't be read, or are of another structure than the recipe's model.
    """
    start = recipe.train.start
    if start is None:
        return
    diffusers.load_into(model, recipe.model, spec, Path(start.folder))
    if start.part == "decoder":
        model.encoder.requires_grad_(False)
        model.posterior.requires_grad_(False)


def digest_of(recipe: TrainedRecipe) -> str | None:
    """The digest of the weights that a recipe starts from; None of fresh ones.

    Raises:
        WeightsError: they aren't there.
    """
    return None if recipe.train.start is None else diffusers.digest(Path(recipe.train.start.folder))
