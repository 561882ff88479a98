"""The table of figures: each number of metrics.json that a person is shown, described once.

The gates that a recipe may set, the report, the model card, `summary`, MLflow, docs/figures.md and the test of the
glossary read this table: a metric is its function in `metrics` and one entry here. It stands beside the sections of a
recipe, because a recipe names figures in `evaluate.gates`; everything else that reads it is on a higher floor.
"""

from collections.abc import Mapping

from vae_pipeline.recipe.figures.bounds import BOUNDS
from vae_pipeline.recipe.figures.detection import DETECTION
from vae_pipeline.recipe.figures.figure import EVERY, Figure, Need, Part, SummaryColumn, in_percent
from vae_pipeline.recipe.figures.images import IMAGES
from vae_pipeline.recipe.figures.latents import LATENTS
from vae_pipeline.recipe.figures.privacy import PRIVACY
from vae_pipeline.recipe.figures.sentences import SENTENCES
from vae_pipeline.recipe.figures.sound import SOUND
from vae_pipeline.recipe.figures.tables import TABLES

__all__ = [
    "EVERY",
    "FIGURES",
    "Figure",
    "Need",
    "Part",
    "SummaryColumn",
    "columns",
    "figures_of",
    "gates",
    "in_percent",
    "keys",
    "names",
    "shares",
    "tracked",
]

FIGURES: tuple[Figure, ...] = (*BOUNDS, *LATENTS, *IMAGES, *PRIVACY, *SOUND, *TABLES, *SENTENCES, *DETECTION)


def figures_of(part: Part) -> tuple[Figure, ...]:
    """The figures of one table of the report."""
    return tuple(figure for figure in FIGURES if figure.part == part)


def gates() -> dict[str, Figure]:
    """The figures that a gate may bound, by their keys."""
    return {figure.key: figure for figure in FIGURES if figure.gate}


def columns() -> dict[str, SummaryColumn]:
    """The columns of `summary`, by the keys of their figures."""
    return {figure.key: figure.column for figure in FIGURES if figure.column is not None}


def names() -> dict[str, str]:
    """The names of figures, by their keys."""
    return {figure.key: figure.name for figure in FIGURES}


def shares() -> set[str]:
    """The keys of figures that are shares of 1."""
    return {figure.key for figure in FIGURES if figure.share}


def keys() -> set[str]:
    """The keys that an entry shows, as its own or to compare with."""
    return {key for figure in FIGURES for key in (figure.key, *dict(figure.beside))}


def tracked(metrics: Mapping[str, object]) -> dict[str, float]:
    """The numbers of metrics.json under the names that MLflow has them by."""
    return {f"test_{key}": value for key, value in metrics.items() if isinstance(value, int | float)}
