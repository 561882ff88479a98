"""Search: what a sweep is asked for, and the figure that it may choose by."""

from dataclasses import dataclass
from pathlib import Path

from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.data import kind_of
from vae_pipeline.recipe.figures import FIGURES, Figure
from vae_pipeline.recipe.space import Space
from vae_pipeline.system.errors import RecipeError


@dataclass(frozen=True)
class Search:
    """The search as it is wanted: where, by what, and for how long."""

    recipe: Path
    """The recipe's file."""
    space: Space
    metric: str
    trials: int
    """Trials in all, those of earlier commands among them."""
    best: Path
    """The file that the best recipe is written to."""
    prune: bool = True
    force: bool = False
    """True if that file may take the place of another one."""
    command: str = "vae-pipeline sweep"
    """The command line, for whoever reads that file."""


def figure_of(metric: str, recipe: Recipe) -> Figure:
    """The figure by which trials are compared.

    Raises:
        RecipeError: there is none of that name, it has no better direction, or the validation part can't tell it.
    """
    kind = kind_of(recipe.data)
    fit = {each.key: each for each in FIGURES if each.better and kind in each.kinds and each.part != "detection"}
    if metric in fit:
        return fit[metric]
    known = next((each for each in FIGURES if each.key == metric), None)
    if known is None:
        why = "there is no figure of that name"
    elif known.part == "detection":
        why = "the validation part, by which a sweep chooses, calibrates the detector and can't judge it too"
    elif known.better is None:
        why = "neither higher nor lower is better"
    else:
        why = f"it isn't measured of data of kind {kind}"
    raise RecipeError(f"--metric {metric}: {why}; take one of {', '.join(fit)}")
