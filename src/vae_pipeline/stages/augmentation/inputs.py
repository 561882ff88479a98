"""The inputs of a study, which needs labelled images of two classes or more, and a model of them."""

from pathlib import Path

import numpy as np

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import has_labels, kind_of
from vae_pipeline.system.errors import DataError, RecipeError
from vae_pipeline.system.reading import parse


def generator_recipe(recipe: Recipe, path: Path) -> Recipe:
    """The recipe of the generator: the same model and objective, conditional, for the study's steps, its last weights.

    Raises:
        RecipeError: it has no labelled images, or neither a validation part nor folds; it sees features, or can't be
            conditional.
    """
    if kind_of(recipe.data) != "image" or not has_labels(recipe.data):
        raise RecipeError(
            f"{path}: a study is of labelled images, and data.kind {recipe.data.kind} names none here: give the data "
            "section labels, or name another recipe"
        )
    if recipe.model.view is not None:
        raise RecipeError(
            f"{path}: model.view.kind {recipe.model.view.kind} sees features, of which no images can be made: name a "
            "recipe without a view"
        )
    if recipe.data.valid == 0 and recipe.study.folds is None:
        raise RecipeError(
            f"{path}: data.valid is 0, and a study chooses by the validation part: set it to 0.2 or so, or set "
            "study.folds, which needs none, to 5"
        )
    values = recipe.model_dump(mode="json")
    values["model"]["conditional"] = True
    values["train"] |= {
        "epochs": None, "steps": recipe.study.generator_steps, "max_minutes": None, "keep": "last", "patience": None,
        "stop_on_alarm": False,
    }  # fmt: skip
    # What knows other images than the labelled ones, or has another task than to draw images.
    values["train"] |= {"start": None, "sharpness": None, "denoise": None, "private": None}
    values |= {"sampler": "prior", "detection": None, "evaluate": {**values["evaluate"], "gates": {}}}
    return parse(Recipe, values, path)


def require_labelled(prepared: Prepared, by_folds: bool) -> ImageSpec:
    """The spec of prepared images that a study can use.

    Raises:
        DataError: a part lacks images or labels, or there is one class alone. By folds no validation part is needed.
    """
    folder, spec = prepared.folder, prepared.spec
    if not isinstance(spec, ImageSpec) or prepared.train.labels is None:
        raise DataError(f"{folder} holds no labelled images: prepare a recipe whose data section names labels")
    if not by_folds and not len(prepared.valid):
        raise DataError(
            f"{folder} has no validation part, by which a study chooses: set data.valid to 0.2 or so, or set "
            "study.folds, which needs none, to 5"
        )
    present = np.unique(prepared.train.labels)
    if len(present) < 2:
        raise DataError(
            f"{folder}: the training part has one class ({spec.classes[present[0]]}), and a classifier needs two: give "
            "labels that tell classes"
        )
    return spec
