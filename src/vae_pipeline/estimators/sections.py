"""The recipe of a fit: the one that was given, or the one that suits the data, with what the parameters change."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from vae_pipeline.estimators.given import Given
from vae_pipeline.estimators.parameters import is_whole
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import Data
from vae_pipeline.recipe.gates import require_possible
from vae_pipeline.scaffold.suggestion import suggested
from vae_pipeline.system.errors import InputError
from vae_pipeline.system.reading import parse

MOST = {"latents": 4096, "steps": 10**9}


def recipe_of(recipe: object) -> Recipe | None:
    """The parameter `recipe`, read where it is a path.

    Raises:
        InputError: it is neither a Recipe nor a path.
        RecipeError: it can't be read, or isn't a recipe.
    """
    if recipe is None or isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, str | Path):
        return Recipe.load(Path(recipe))
    raise InputError(f"recipe={recipe!r} was given; wanted a Recipe, the path of its file, or None")


def whole_recipe(
    recipe: Recipe | None, given: Given, latents: int | None, steps: int | None, conditional: bool
) -> Recipe:
    """The whole recipe of a fit to some data.

    Raises:
        InputError: a parameter can't be, or doesn't go with the recipe's model.
        RecipeError: the recipe isn't one for these data.
    """
    for name, value in (("latents", latents), ("steps", steps)):
        if value is not None and not is_whole(value, MOST[name]):
            raise InputError(f"{name}={value!r} was given; wanted a whole number from 1 to {MOST[name]:,}, or None")
    if not isinstance(conditional, bool):
        raise InputError(f"conditional={conditional!r} was given; wanted True or False")
    if recipe is not None:
        values = recipe.model_dump(mode="json", exclude={"data"})
        values["evaluate"]["gates"] = _possible(recipe, given)
    else:
        assert given.facts is not None  # only a recipe's own data come without
        values = {"about": "Suggested for the data that it was fitted to."}
        values |= suggested(given.facts, conditional=conditional)
    model: dict[str, Any] = values["model"]
    model["conditional"] = model["conditional"] or conditional
    if latents is not None:
        if "posterior" not in model:
            raise InputError(
                f"latents={latents} was given, but a {model['kind']} has its own on each level: leave it out"
            )
        model["posterior"]["latents"] = int(latents)
    if steps is not None:
        values["train"] = {**values["train"], "epochs": None, "steps": int(steps)}
    return parse(Recipe, {**values, "data": dict(given.data)}, Path("the recipe"))


def _possible(recipe: Recipe, given: Given) -> dict[str, Any]:
    """The recipe's gates, but for those of figures that these data can't have, as of anomalies that nothing tells."""
    data: Data = TypeAdapter(Data).validate_python(given.data)
    kept = {}
    for name, gate in recipe.evaluate.gates.items():
        with suppress(ValueError):
            require_possible([name], data, recipe.detection)
            kept[name] = gate.model_dump(mode="json")
    return kept
