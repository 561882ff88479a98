"""`vae-pipeline`: the program and its housekeeping. Parses, calls, prints; stages and tasks have modules of their own.

Commands import what they need inside the function, so that `--help` loads no torch.
"""

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from vae_pipeline.cli.auditing import auditing
from vae_pipeline.cli.augmentation import augmentation
from vae_pipeline.cli.begin import beginning
from vae_pipeline.cli.bundles import bundles
from vae_pipeline.cli.denoising import denoising
from vae_pipeline.cli.detection import detection
from vae_pipeline.cli.inspecting import inspecting
from vae_pipeline.cli.json_output import print_error
from vae_pipeline.cli.morphs import morphs
from vae_pipeline.cli.options import BEGIN, MORE, STAGES, TASKS, BundleFolder
from vae_pipeline.cli.output import console, print_columns
from vae_pipeline.cli.sampling import sampling
from vae_pipeline.cli.stages import stages
from vae_pipeline.cli.synthesis import synthesis
from vae_pipeline.cli.tasks import tasks
from vae_pipeline.cli.watching import watching
from vae_pipeline.system.errors import Interrupted, VaeError, lacking, no_such_kernel, out_of_memory
from vae_pipeline.system.installed import require_one_version
from vae_pipeline.system.redaction import redacted
from vae_pipeline.system.stopping import Stopped, ignore, listen
from vae_pipeline.system.streams import make_usable
from vae_pipeline.system.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from vae_pipeline.recipe import Recipe


class Sections(TyperGroup):
    """Help that lists commands in sections, without the half second that Typer's boxes cost."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a table for each section."""
        sections: dict[str, list[tuple[str, str]]] = {BEGIN: [], STAGES: [], TASKS: [], MORE: []}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            assert isinstance(command, TyperCommand)
            row = (name, command.get_short_help_str(limit=200))
            sections[command.rich_help_panel or MORE].append(row)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows, col_max=14)


app = typer.Typer(
    cls=Sections,
    help="Variational Autoencoders in production: prepare, train, evaluate, export to ONNX, and use the bundle.",
    epilog="Settings are read from VAE_* variables and .env; README.md lists them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(beginning)
app.add_typer(synthesis)
app.add_typer(stages)
app.add_typer(sampling)
app.add_typer(augmentation)
app.add_typer(auditing)
app.add_typer(tasks)
app.add_typer(denoising)
app.add_typer(morphs)
app.add_typer(detection)
app.add_typer(inspecting)
app.add_typer(watching)
app.add_typer(bundles)


@app.command(rich_help_panel=MORE)
def check(
    params: Annotated[
        Path, typer.Argument(help="params.yaml, a recipe, or a folder of recipes.", metavar="PARAMS")
    ] = Path("params.yaml"),
    recipes: Annotated[Path, typer.Option(help="Folder of recipes.")] = Path("pipeline"),
) -> None:
    """Read params.yaml and every recipe that it names, and say what is wrong with them; of a table show its columns."""
    from vae_pipeline.recipe import Recipe
    from vae_pipeline.system.errors import RecipeError
    from vae_pipeline.system.reading import read_yaml

    if params.is_dir():
        found = sorted(params.glob("*.yaml"))
        if not found:
            raise RecipeError(f"{params} holds no recipes: name a folder of .yaml files, params.yaml or a recipe")
        for recipe in found:
            Recipe.load(recipe)
        return
    content = read_yaml(params)
    names = content.get("recipes") if isinstance(content, dict) else None
    if isinstance(content, dict) and "recipes" not in content:
        _print_table(Recipe.load(params))
        names = []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecipeError(f"{params}: recipes must be a list of names, such as recipes: [digits]")
    if len(set(names)) < len(names):
        raise RecipeError(f"{params}: recipes names one twice: {', '.join(names)}")
    for name in names:
        Recipe.load(recipes / f"{name}.yaml")


def _print_table(recipe: "Recipe") -> None:
    """The findings of a table's file, if it is at hand."""
    from dataclasses import asdict

    from vae_pipeline.recipe.data import TableData

    data = recipe.data
    if not isinstance(data, TableData) or data.file.path is None or not Path(data.file.path).exists():
        return
    from vae_pipeline.kinds.download import Finder
    from vae_pipeline.kinds.table.source import survey

    seen = survey(data, Finder(Path()))
    terminal = console()
    print_columns(terminal, {"csv": asdict(seen.csv), "found": seen.found})
    for note in seen.notes:
        terminal.print(note, style="yellow")


@app.command(rich_help_panel=MORE)
def summary(
    reports: Annotated[Path, typer.Argument(help="Folder of reports.")] = Path("reports"),
    exports: Annotated[Path, typer.Argument(help="Folder of bundles.")] = Path("exports"),
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, for a pull request.")] = False,
    pictures: Annotated[
        str | None, typer.Option(help="Of Markdown: the URL under which the folder of reports lies.")
    ] = None,
) -> None:
    """Print a table of all evaluated models, and where their pictures and bundles are."""
    from vae_pipeline.stages.summary import print_summary, summary_in_markdown

    if markdown:
        sys.stdout.write(summary_in_markdown(reports, exports, pictures))
        return
    print_summary(console(), reports, exports)


@app.command(rich_help_panel=MORE)
def sync() -> None:
    """Send to MLflow what could not be recorded while it was down."""
    from vae_pipeline.system.settings import Settings
    from vae_pipeline.system.tracking.tracker import Tracker

    terminal = console()
    tracker = Tracker(Settings.load(), _warner(terminal))
    sent, left, damaged = tracker.sync()
    terminal.print(f"{sent} sent, {left} waiting" + (f", {damaged} set aside" if damaged else ""))
    if left or damaged:
        raise typer.Exit(1)


@app.command(rich_help_panel=MORE)
def register(bundle: BundleFolder) -> None:
    """Register a bundle in MLflow after the fact, as `export` does where VAE_MLFLOW_REGISTRY is on."""
    from vae_pipeline.stages.register import register as run
    from vae_pipeline.system.settings import Settings

    terminal = console()
    name, aliases = run(bundle, Settings.load(), _warner(terminal))
    terminal.print(f"{bundle} is registered as {', '.join(f'models:/{name}@{alias}' for alias in aliases)}")


@app.command(rich_help_panel=MORE)
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5000,
) -> None:
    """Show MLflow's table of runs in a browser."""
    from vae_pipeline.system.settings import Settings
    from vae_pipeline.system.tracking.ui import serve

    serve(Settings.load(), port, console().print)


@app.command(rich_help_panel=MORE)
def schema() -> None:
    """Print the JSON schema of a recipe, for editors."""
    import json

    from vae_pipeline.recipe import Recipe

    sys.stdout.write(json.dumps(Recipe.model_json_schema(), indent=2) + "\n")


def _warner(terminal: "Console") -> "Callable[[str], None]":
    return lambda text: terminal.print(f"warning: {redacted(text)}", style="yellow")


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"vae-pipeline {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Refuse a setting that is none, whichever command it was meant for."""
    del version
    if any(name.upper().startswith("VAE_") for name in os.environ):
        from vae_pipeline.system.settings import Settings

        Settings.load()


def main() -> None:
    """Run, and turn a user's mistake into one line and an exit code."""
    listen()
    make_usable()
    warnings.showwarning = _show
    try:
        require_one_version()
        app()
        sys.stdout.flush()
    except VaeError as error:
        _leave(error, error.exit_code)
    except Stopped as stopped:
        _leave(f"{stopped}: stopped, and nothing was written", Interrupted.exit_code)
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except OSError as error:  # a disk, a folder or a permission; what it was about is in the error
        _leave(_refused(error), 2)
    except ModuleNotFoundError as error:
        _leave(lacking(error), 2)
    except (MemoryError, RuntimeError) as error:
        said = out_of_memory(error) or no_such_kernel(error)
        if said is None:
            raise
        _leave(said, 2)
    finally:
        ignore()


def _show(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as a line, without the place in the code."""
    sys.stderr.write(f"warning: {' '.join(str(message).split())}\n")


def _refused(error: OSError) -> str:
    """A line on what the system refused, and on the setting that names another place for it."""
    from vae_pipeline.system.settings import Settings

    reason = (error.strerror or str(error)).lower()
    if not error.filename:
        return reason
    place = Path(os.fsdecode(error.filename))
    kept = place.absolute().is_relative_to(Settings.load().home.absolute())
    return f"{place}: {reason}{'; name a folder that can be written in VAE_HOME' if kept else ''}"


def _leave(message: str | VaeError, code: int) -> None:
    ignore()
    said = " ".join(redacted(str(message)).split())
    print_error(said, message.found if isinstance(message, VaeError) else ())
    sys.stderr.write(f"vae-pipeline: {said}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
