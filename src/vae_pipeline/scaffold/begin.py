"""A recipe for data that have none yet: looked at, suggested, written, validated."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vae_pipeline.recipe import Recipe
from vae_pipeline.scaffold.looking.found import Found, Places
from vae_pipeline.scaffold.looking.look import look
from vae_pipeline.scaffold.recipe_text import recipe_text
from vae_pipeline.scaffold.suggestion import suggested
from vae_pipeline.system.errors import OutputError, RecipeError
from vae_pipeline.system.files import replace_file
from vae_pipeline.system.reading import parse

MARKS = ("dvc.yaml", "params.yaml")  # files of the folder in which a project's commands run
WATCHED = "data/raw"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Begun:
    """A recipe that was written."""

    name: str
    path: Path
    recipe: Recipe
    found: Found
    watched: bool
    """True if the data lie in the folder that a project's DVC watches."""


def begin(
    data: Path,
    root: Path,
    *,
    name: str | None = None,
    conditional: bool = False,
    out: Path | None = None,
    label: tuple[str, str] | None = None,
    columns: Mapping[str, str] | None = None,
    csv: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Begun:
    """Write the recipe of some data, into `pipeline/` of the project at `root` or to `out`.

    Of a table `label`, `columns` and `csv` are those of `look`.

    Raises:
        DataError: the data can't be used.
        RecipeError: a conditional model is wanted of data without labels, or the name isn't one.
        OutputError: the file is there already, and isn't to be replaced, or can't be written.
    """
    chosen = name or (None if out is None else out.stem) or name_of(data)
    require_name(chosen, "a recipe (--name)")
    path = root / "pipeline" / f"{chosen}.yaml" if out is None else out
    if path.suffix != ".yaml":
        raise OutputError(f"{path}: the name must end in .yaml")
    if path.exists() and not force:
        raise OutputError(f"{path} is there already: give another --name or --out, or --force to replace it")
    found = look(data, Places(root), label, columns, csv)
    text = recipe_text(chosen, found, suggested(found.facts, conditional=conditional))
    recipe = parse(Recipe, yaml.safe_load(text), path)
    replace_file(path, text.encode())
    return Begun(chosen, path, recipe, found, Path(Places(root).written(data)).is_relative_to(WATCHED))


def require_name(name: str, what: str) -> None:
    """Refuse a name that is no plain one of a file.

    Raises:
        RecipeError: it isn't.
    """
    if not NAME.fullmatch(name):
        raise RecipeError(f"{name!r} can't name {what}: letters from a to z, digits, _ and - are wanted")


def project_of(folder: Path) -> Path:
    """The nearest folder, from this one upwards, that holds a project; this one if there is none."""
    above = (folder, *folder.absolute().parents)
    return next((each for each in above if all((each / mark).is_file() for mark in MARKS)), folder)


def name_of(data: Path) -> str:
    """A name for a recipe, made of the data's: small letters of English, digits and `_`."""
    stem = data.resolve().name.casefold()
    if not data.is_dir():
        stem = re.sub(r"[-_.]idx\d[-_.]ubyte$", "", stem.removesuffix(".gz")).partition(".")[0]
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "data"
