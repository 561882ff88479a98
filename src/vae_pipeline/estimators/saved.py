"""A fitted estimator on disk: files of its own, and estimator.json, which says what it is. No pickle is among them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.recipe import Recipe
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import filled_folder, write_json
from vae_pipeline.system.reading import parse
from vae_pipeline.system.seal import seal, unsealed
from vae_pipeline.system.typed_json import read_json, typed
from vae_pipeline.system.version import __version__

FILE = "estimator.json"
FORMAT = 1


@dataclass(frozen=True)
class Saved:
    """The content of estimator.json."""

    format: int
    version: str
    """The package's that wrote it, for a reader."""
    estimator: str
    """The name of the class."""
    parameters: dict[str, Any]
    fitted: dict[str, Any]
    """Attributes of the fit, as plain values."""


def save(
    folder: Path, write: Callable[[Path], None], estimator: str, parameters: dict[str, Any], fitted: dict[str, Any]
) -> None:
    """Fill a folder with what `write` writes, and estimator.json; one that holds anything else is never replaced.

    Raises:
        OutputError: it can't be written.
    """
    with filled_folder(folder) as partial:
        write(partial)
        content = Saved(FORMAT, __version__, estimator, parameters, fitted)
        write_json(partial / FILE, vars(content))
        seal(partial)


def told(folder: Path) -> Saved:
    """The content of estimator.json, once every file beside it was found to be the one that was saved.

    Raises:
        DataError: the folder isn't one that `save` filled, was altered, or is of a later format.
    """
    path = folder / FILE
    if not path.is_file():
        other = "; it is a bundle: take Bundle.load" if (folder / "bundle.json").is_file() else ""
        raise DataError(f"{path} isn't there: name a folder that an estimator's `save` filled{other}")
    try:
        saved = typed(Saved, read_json(path))
        if saved.format <= FORMAT:
            unsealed(folder, "save")
    except (OSError, ValueError, DataError) as error:
        said = str(error).partition(": run `")[0].replace("vae-pipeline save", "save")
        raise DataError(f"{folder} isn't what `save` wrote ({said}): save it again") from error
    if saved.format > FORMAT:
        raise DataError(
            f"{path} has format {saved.format}, written by version {saved.version}; this one reads up to {FORMAT}: "
            "update vae-pipeline"
        )
    return saved


def plain(value: Any) -> Any:
    """A parameter or an attribute as JSON holds it."""
    match value:
        case Recipe():
            return value.model_dump(mode="json")
        case Path():
            return str(value)
        case np.ndarray():
            return value.tolist()
        case np.integer() | np.floating():
            return value.item()
        case tuple():
            return list(value)
        case _:
            return value


def restored(name: str, value: Any, folder: Path) -> Any:
    """Inverse of `plain`, of the parameter or the attribute `name`.

    Raises:
        RecipeError: it is a recipe, and doesn't validate.
    """
    match name:
        case "recipe" | "recipe_" if value is not None:
            return parse(Recipe, value, folder / FILE)
        case "classes_":
            return np.array(value)
        case "feature_names_in_":
            return np.array(value, dtype=object)
        case _:
            return value
