"""The weights that a run begins with, where its recipe names some or the data give them, and those that it trains."""

from pathlib import Path

import torch

from vae_pipeline.kinds.spec import DataSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.parts import batches, subset
from vae_pipeline.models.diffusers import weights as diffusers
from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe import TrainedRecipe
from vae_pipeline.training.principal import EXAMPLES, begin_linear


def begin(model: VAE, recipe: TrainedRecipe, prepared: Prepared) -> None:
    """Give a model with fresh weights those that it starts from, and freeze what its recipe doesn't train.

    Raises:
        RecipeError, WeightsError: as `begin_from_rows` and `begin_from_weights`.
    """
    begin_from_rows(model, recipe, prepared)
    begin_from_weights(model, recipe, prepared.spec)


def begin_from_rows(model: VAE, recipe: TrainedRecipe, prepared: Prepared) -> None:
    """Standardise features by the training part, and start a linear way from its principal components.

    Raises:
        RecipeError: there are more latents than principal components.
    """
    if isinstance(model.scaling, FeatureScaling):
        some = subset(prepared.train, EXAMPLES, recipe.seed)
        model.scaling.begin(rows.x for rows in batches(some, torch.device("cpu"), "the units of features"))
    begin_linear(model, prepared.train, recipe.seed)


def begin_from_weights(model: VAE, recipe: TrainedRecipe, spec: DataSpec) -> None:
    """Give a model the weights that its recipe names, if any, and freeze what isn't trained.

    Raises:
        WeightsError: they can't be read, or are of another structure than the model.
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
