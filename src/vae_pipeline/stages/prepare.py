"""prepare: raw data to one folder of arrays, spec.json and card.json."""

from pathlib import Path
from typing import Any

from vae_pipeline.data import store
from vae_pipeline.data.download import Finder, Reporter, silent
from vae_pipeline.data.sources import open_source
from vae_pipeline.files import filled_folder
from vae_pipeline.recipe import Recipe
from vae_pipeline.settings import Settings


def prepare(recipe: Recipe, out: Path, seed: int, settings: Settings, report: Reporter = silent) -> dict[str, Any]:
    """Fill `out`; returns the data card.

    Raises:
        DataError: a source can't be had or can't be used.
        OutputError: `out` can't be written.
    """
    finder = Finder(settings.home / "downloads", settings.mirror, report)
    with filled_folder(out) as folder:
        store.write(open_source(recipe.data, finder, seed), folder, seed)
    return store.Prepared.open(out).card
