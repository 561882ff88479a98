"""A fitted VAE on disk: the folder that `train` fills, and estimator.json beside its files. No pickle is in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.recipe import Recipe
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import filled_folder, write_json
from vae_pipeline.system.reading import parse
from vae_pipeline.system.seal import seal
from vae_pipeline.system.typed_json import read_json, typed
from vae_pipeline.system.version import __version__
from vae_pipeline.training.trained import Trained, write_trained

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


def save(folder: Path, trained: Trained, estimator: str, parameters: dict[str, Any], fitted: dict[str, Any]) -> None:
    """Fill a folder; one that holds anything but a saved model is never replaced.

    Raises:
        OutputError: it can't be written.
    """
    with filled_folder(folder) as partial:
        write_trained(
            partial, trained.model, trained.recipe, trained.spec, trained.history, trained.sampler, trained.alarms
        )
        content = Saved(FORMAT, __version__, estimator, parameters, fitted)
        write_json(partial / FILE, vars(content))
        seal(partial)


def told(folder: Path) -> Saved:
    """The content of estimator.json.

    Raises:
        DataError: the folder isn't one that `save` filled, or is of a later format.
    """
    path = folder / FILE
    if not path.is_file():
        other = "; it is a bundle: take Bundle.load" if (folder / "bundle.json").is_file() else ""
        raise DataError(f"{path} isn't there: name a folder that VAE.save filled{other}")
    try:
        saved = typed(Saved, read_json(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} isn't what VAE.save wrote ({error}): save it again") from error
    if saved.format > FORMAT:
        raise DataError(
            f"{path} has format {saved.format}, written by version {saved.version}; this one reads up to {FORMAT}: "
            "update vae-pipeline"
        )
    return saved


def read(folder: Path) -> tuple[Trained, Saved]:
    """Inverse of `save`.

    Raises:
        DataError, WeightsError: the folder isn't one that `save` filled, was altered, or is of a later format.
    """
    content = told(folder)
    return Trained.load(folder), content


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


def recipe_in(values: Any, folder: Path) -> Any:
    """The recipe that `plain` gave; None of None.

    Raises:
        RecipeError: it isn't one.
    """
    return None if values is None else parse(Recipe, values, folder / FILE)
