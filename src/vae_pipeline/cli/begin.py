"""The commands to begin with: a recipe for one's own data, a project to run it in, and all stages in one go."""

import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vae_pipeline.cli.options import BEGIN, Csv, Kinds, Seed, pairs
from vae_pipeline.cli.output import console
from vae_pipeline.cli.stages import RecipeFile, evaluate, export, prepare, train

if TYPE_CHECKING:
    from vae_pipeline.recipe import Recipe

beginning = typer.Typer()


@beginning.command(rich_help_panel=BEGIN)
def init(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="A folder, .zip or .tar of pictures, medical scans or recordings; IDX, .npy or .npz of images; a "
            "table (.csv, .parquet, .jsonl, .npz of X and y); a text of a sentence a line.",
            metavar="DATA",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the recipe. [default: that of the data]")] = None,
    conditional: Annotated[
        bool, typer.Option("--conditional", help="Images or recordings with labels: a model of each class.")
    ] = False,
    label: Annotated[
        str | None,
        typer.Option(help="Of a table: the column that tells normal rows, and their value.", metavar="COLUMN=NORMAL"),
    ] = None,
    column: Kinds = None,
    csv: Csv = None,
    add: Annotated[bool, typer.Option("--add", help="Add the recipe to params.yaml.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="File to write. [default: pipeline/NAME.yaml of the project]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a recipe that is there already.")] = False,
    project: Annotated[
        str | None,
        typer.Option(
            help="Instead of a recipe: lay out a project of this name, here if the folder is empty, else in a new one.",
        ),
    ] = None,
    no_scm: Annotated[bool, typer.Option("--no-scm", help="Of a project: do without git.")] = False,
) -> None:
    """Look at data, and write a recipe that suits them; or lay out a project to run recipes in."""
    from vae_pipeline.scaffold.begin import begin, project_of
    from vae_pipeline.scaffold.parameters import add_recipe, require_addable
    from vae_pipeline.system.errors import DataError

    if (data is None) == (project is None):
        raise DataError("give either data, as in init DATA, or a name, as in init --project NAME")
    if data is None:
        _init_project(str(project), scm=not no_scm)
        return
    terminal, root = console(), project_of(Path())
    params = root / "params.yaml"
    if add:
        require_addable(params, out)
    written = pairs("--csv", csv, "KEY=VALUE, such as encoding=cp1252")
    columns = pairs("--column", column, "NAME=KIND, such as zip=category")
    try:
        begun = begin(
            data, root, name=name, conditional=conditional, out=out, label=_label(label), columns=columns, csv=written,
            force=force,
        )  # fmt: skip
    except DataError as error:  # there is no recipe yet whose keys could be set
        raise type(error)(_in_options(str(error))) from error
    first, *others = begun.found.said
    terminal.print(f"{data}: {first}")
    for line in others:
        terminal.print(f"  {line}")
    terminal.print(f"{begun.path}: {_described(begun.recipe)}")
    if params.is_file() and not begun.watched:
        terminal.print(
            "DVC watches data/raw alone: after a change of these data, run dvc repro --force", style="yellow"
        )
    folder = "" if root == Path() else f"cd {shlex.quote(str(root))} && "
    if add:
        there = "names it now" if add_recipe(params, begun.name) else "names it already"
        terminal.print(f"{params} {there}; next: {folder}dvc repro export@{begun.name}")
        return
    if params.is_file():
        terminal.print(f"to run it by DVC, add a line to the recipes of {params} (or give --add):  - {begun.name}")
    terminal.print(f"next: {folder}vae-pipeline run {shlex.quote(os.path.relpath(begun.path, root))}")


def _in_options(text: str) -> str:
    text = re.sub(r"data\.csv\.(\w+)", r"--csv \1=...", text)
    return re.sub(r"set data\.columns\.(\S+) to (\w+)|in data\.columns", _column_option, text)


def _column_option(found: "re.Match[str]") -> str:
    return "by --column NAME=KIND" if found[1] is None else f"give --column {found[1]}={found[2]}"


def _init_project(name: str, scm: bool) -> None:
    from vae_pipeline.scaffold.begin import require_name
    from vae_pipeline.scaffold.project import is_free, lay_out

    require_name(name, "a project")
    folder = Path() if is_free(Path()) else Path(name)
    for path in lay_out(name, folder, scm):
        typer.echo(path)
    go = "" if folder == Path() else f"cd {name} && "
    typer.echo(f"next: {go}vae-pipeline init DATA --add, then dvc repro; README.md says more")


def _described(recipe: "Recipe") -> str:
    """The model and its training in a line."""
    from vae_pipeline.recipe.model import Model, VectorPosterior

    model, latents = recipe.model, ""
    if isinstance(model, Model) and isinstance(model.posterior, VectorPosterior):
        latents = f"{model.posterior.latents} latents, "
    kind = model.likelihood.kind.replace("_", " ")
    return f"{latents}likelihood {kind}, {recipe.train.length} of {recipe.train.batch}"


@beginning.command(rich_help_panel=BEGIN)
def run(
    recipe: RecipeFile,
    seed: Seed = 0,
    despite_gates: Annotated[
        bool, typer.Option("--despite-gates", help="Export a model that fails its gates too; the exit code stays 1.")
    ] = False,
) -> None:
    """Prepare, train, evaluate and export, one after the other, into the folders that DVC would fill."""
    from vae_pipeline.system.errors import GateError

    name = recipe.stem
    data, model, report, bundle = (Path(place) / name for place in ("data/prepared", "models", "reports", "exports"))
    prepare(recipe, data, seed)
    train(recipe, data, model, seed)
    failed = None
    try:
        evaluate(recipe, data, model, report, seed)
    except GateError as error:
        if not despite_gates:
            raise GateError(f"{error}; --despite-gates exports the model all the same") from error
        failed = error
    export(recipe, data, model, report, bundle, seed)
    console().print(f"report       {report / 'index.html'}\nONNX bundle  {bundle}")
    if failed is not None:
        raise failed


def _label(text: str | None) -> tuple[str, str] | None:
    from vae_pipeline.system.errors import DataError

    if text is None:
        return None
    column, sign, normal = text.rpartition("=")
    if not sign or not column:
        raise DataError(f"--label {text} was given; COLUMN=NORMAL is wanted, such as --label fraud=0")
    return column, normal
