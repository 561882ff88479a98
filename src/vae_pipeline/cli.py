"""`vae-pipeline`: one command a stage, one a task. Parses, calls, prints.

Commands import what they need inside the function, so that `--help` loads no torch.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from vae_pipeline import __version__
from vae_pipeline.errors import VaeError

if TYPE_CHECKING:
    from rich.console import Console

    from vae_pipeline.runtime import Bundle

STAGES, TASKS, MORE = "Stages of the pipeline", "Tasks on an exported bundle", "More"


class Sections(TyperGroup):
    """Help that lists commands in sections, without the half second that Typer's boxes cost."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a table for each section, in the order of the commands."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            assert isinstance(command, TyperCommand)
            row = (name, command.get_short_help_str(limit=200))
            sections.setdefault(command.rich_help_panel or MORE, []).append(row)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows, col_max=14)


app = typer.Typer(
    cls=Sections,
    help="Variational Autoencoders in production: prepare, train, evaluate, export to ONNX, and use the bundle.",
    epilog="Settings are read from VAE_* variables and .env; README.md lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RecipeFile = Annotated[Path, typer.Argument(help="A recipe, such as pipeline/digits.yaml.", metavar="RECIPE")]
Seed = Annotated[int, typer.Option(help="The one seed, from which every draw is derived.", min=0, max=2**32 - 1)]
Data = Annotated[Path, typer.Option(help="Folder that `prepare` filled.")]
Model = Annotated[Path, typer.Option(help="Folder that `train` filled.")]
OutFolder = Annotated[Path, typer.Option(help="Folder to fill; replaced once all has gone well.")]
BundleFolder = Annotated[Path, typer.Argument(help="Folder that `export` filled.", metavar="BUNDLE")]
Inputs = Annotated[
    list[Path],
    typer.Argument(help=".npy, .npz, PNG or JPEG files, or folders of pictures.", metavar="INPUT..."),
]
Key = Annotated[str | None, typer.Option(help="Which array of an .npz.")]
Fit = Annotated[
    Literal["none", "stretch", "crop", "pad"],
    typer.Option(help="How pictures of another size are brought to the model's."),
]
Label = Annotated[int | None, typer.Option(help="Class of all examples, for a conditional model.", min=0)]
LabelFile = Annotated[Path | None, typer.Option(help="An .npy of one class an example, for a conditional model.")]


@app.command(rich_help_panel=STAGES)
def prepare(recipe: RecipeFile, out: OutFolder, seed: Seed = 0) -> None:
    """Raw data to memory-mapped arrays, split, with a data card."""
    from vae_pipeline.stages.download_display import showing_downloads
    from vae_pipeline.stages.job import Job
    from vae_pipeline.stages.prepare import prepare as run

    console = _console()
    with showing_downloads(console) as report:
        card = run(Job.of(recipe, seed, console), out, report)
    counts = ", ".join(f"{count:,} {part}" for part, count in card["examples"].items())
    console.print(f"{recipe.stem}: {counts}, each {card['shape']} {card['dtype']} -> {out}", highlight=False)
    for reason, count in card["dropped"].items():
        console.print(f"[yellow]left out:[/] {count} x {reason}", highlight=False)


@app.command(rich_help_panel=STAGES)
def train(recipe: RecipeFile, data: Data, out: OutFolder, seed: Seed = 0) -> None:
    """Prepared data to weights; an interrupted run goes on where it was."""
    from vae_pipeline.stages.job import Job
    from vae_pipeline.stages.train import train as run

    console = _console()
    report = run(Job.of(recipe, seed, console), data, out)
    elbo = report.kept.valid_elbo if report.kept.valid_elbo is not None else report.kept.train_elbo
    part = "valid" if report.kept.valid_elbo is not None else "train"
    console.print(
        f"{recipe.stem}: {report.epochs} epochs, kept epoch {report.kept.epoch} ({part} ELBO {elbo:.2f}), "
        f"weights {report.weights_sha256[:12]} -> {out}",
        highlight=False,
    )


@app.command("eval", rich_help_panel=STAGES)
def evaluate(recipe: RecipeFile, data: Data, model: Model, out: OutFolder, seed: Seed = 0) -> None:
    """Metrics and pictures of a model on the test part; fails if a gate of the recipe does."""
    from vae_pipeline.stages.evaluate import evaluate as run
    from vae_pipeline.stages.job import Job

    console = _console()
    metrics = run(Job.of(recipe, seed, console), data, model, out)
    bound = f"importance bound {metrics['importance_bound']:.2f} (K = {metrics['importance_samples']})"
    active = f"{metrics['active_units']} of {metrics['latents']} units active"
    console.print(f"{recipe.stem}: ELBO {metrics['elbo']:.2f}, {bound}, {active} -> {out}", highlight=False)


@app.command(rich_help_panel=STAGES)
def export(
    recipe: RecipeFile,
    data: Data,
    model: Model,
    report: Annotated[Path, typer.Option(help="Folder that `eval` filled.")],
    out: OutFolder,
    seed: Seed = 0,
) -> None:
    """A model to a bundle of ONNX graphs, each proved equal to it."""
    from vae_pipeline.stages.export import export as run
    from vae_pipeline.stages.job import Job

    console = _console()
    done = run(Job.of(recipe, seed, console), data, model, report, out)
    console.print(
        f"{recipe.stem}: {done.graphs} graphs, differing from the model by at most {done.difference:.1e} -> {out}",
        highlight=False,
    )


@app.command(rich_help_panel=TASKS)
def sample(
    bundle: BundleFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help=".npy (values) or .png (a grid).")],
    count: Annotated[int, typer.Option(help="How many.", min=1)] = 64,
    seed: Seed = 0,
    label: Label = None,
) -> None:
    """Draw new examples from the prior."""
    from vae_pipeline.runtime import Bundle

    _require_suffix(out, ".npy", ".png")
    model = Bundle.load(bundle)
    labels = None if label is None else [label] * count
    _write_images(out, model.sample(count, seed, labels), model)


@app.command(rich_help_panel=TASKS)
def reconstruct(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[Path, typer.Option("--out", "-o", help=".npy (values) or .png (inputs above reconstructions).")],
    key: Key = None,
    resize: Fit = "none",
    labels: LabelFile = None,
) -> None:
    """Encode and decode."""
    import numpy as np

    from vae_pipeline.observations import read_observations
    from vae_pipeline.runtime import Bundle

    _require_suffix(out, ".npy", ".png")
    model = Bundle.load(bundle)
    x = read_observations(inputs, model.spec, key, resize)
    x_mean = model.reconstruct(x, _read_labels(labels))
    if out.suffix.lower() == ".png":
        columns = min(10, len(x))
        rows = [part for at in range(0, len(x), columns) for part in (x[at : at + columns], x_mean[at : at + columns])]
        if len(rows) > 2 and len(rows[-1]) < columns:  # the last two rows are filled up, so that pairs stay aligned
            blank = np.full((columns - len(rows[-1]), *x.shape[1:]), model.spec.high)
            rows[-2:] = [np.concatenate([row, blank]) for row in rows[-2:]]
        _write_images(out, np.concatenate(rows), model, columns, group=2)
    else:
        _write_images(out, x_mean, model)


@app.command(rich_help_panel=TASKS)
def encode(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[Path, typer.Option("--out", "-o", help=".npy (means) or .npz (mean and log_variance).")],
    key: Key = None,
    resize: Fit = "none",
    labels: LabelFile = None,
) -> None:
    """Latent position of each example."""
    from vae_pipeline.observations import read_observations
    from vae_pipeline.runtime import Bundle

    _require_suffix(out, ".npy", ".npz")
    model = Bundle.load(bundle)
    found = model.encode(read_observations(inputs, model.spec, key, resize), _read_labels(labels))
    if out.suffix.lower() == ".npz":
        _write_arrays(out, {"mean": found.mean, "log_variance": found.log_variance})
    else:
        _write_arrays(out, found.mean)


@app.command(rich_help_panel=TASKS)
def score(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=".csv; printed if not given.")] = None,
    samples: Annotated[int, typer.Option(help="Draws of z an example.", min=1)] = 16,
    seed: Seed = 0,
    key: Key = None,
    resize: Fit = "none",
    labels: LabelFile = None,
) -> None:
    """-ELBO, distortion and rate of each example, in nats; high means unlikely."""
    from vae_pipeline.files import replace_file
    from vae_pipeline.observations import read_observations
    from vae_pipeline.runtime import Bundle

    if out is not None:
        _require_suffix(out, ".csv")
    model = Bundle.load(bundle)
    x = read_observations(inputs, model.spec, key, resize)
    scores = model.score(x, _read_labels(labels), samples, seed)
    columns = zip(scores.negative_elbo, scores.distortion, scores.rate, strict=True)
    lines = ["example,negative_elbo,distortion,rate"]
    lines += [
        f"{index},{total:.6f},{distortion:.6f},{rate:.6f}" for index, (total, distortion, rate) in enumerate(columns)
    ]
    text = "\n".join(lines) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        replace_file(out, text.encode())
        _console().print(f"{len(x)} scores -> {out}", highlight=False)


@app.command(rich_help_panel=TASKS)
def interpolate(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[Path, typer.Option("--out", "-o", help=".gif (a film), .png (a strip) or .npy (values).")],
    steps: Annotated[int, typer.Option(help="Examples from the first to the last.", min=2)] = 16,
    path: Annotated[
        Literal["linear", "spherical"], typer.Option(help="The path through the latent space.")
    ] = "spherical",
    key: Key = None,
    resize: Fit = "none",
    label: Label = None,
) -> None:
    """Morph the first example into the second, the second into the third, and so on."""
    from itertools import pairwise

    import numpy as np

    from vae_pipeline.errors import DataError
    from vae_pipeline.observations import read_observations
    from vae_pipeline.pictures import save_gif, tile, to_pixels
    from vae_pipeline.runtime import Bundle

    _require_suffix(out, ".gif", ".png", ".npy")
    model = Bundle.load(bundle)
    x = read_observations(inputs, model.spec, key, resize)
    if len(x) < 2:
        raise DataError(f"a path needs two examples or more; given {len(x)}")
    morphs = [model.interpolate(a, b, steps, path, label) for a, b in pairwise(x)]
    frames = np.concatenate([morphs[0], *(morph[1:] for morph in morphs[1:])])
    if out.suffix.lower() == ".gif":
        pixels = to_pixels(frames, model.spec.low, model.spec.high)
        there_and_back = np.concatenate([pixels, pixels[-2:0:-1]])
        save_gif(out, [tile(frame[None], 1, side=224, gap=0) for frame in there_and_back])
        _console().print(f"{len(frames)} steps -> {out}", highlight=False)
    else:
        _write_images(out, frames, model, steps if len(morphs) == 1 else None)


@app.command(rich_help_panel=MORE)
def check(
    params: Annotated[Path, typer.Argument(help="params.yaml, or a recipe.", metavar="PARAMS")] = Path("params.yaml"),
    recipes: Annotated[Path, typer.Option(help="Folder of recipes.")] = Path("pipeline"),
) -> None:
    """Read params.yaml and every recipe that it names, and say what is wrong with them."""
    from vae_pipeline.errors import RecipeError
    from vae_pipeline.recipe import Recipe, read_yaml

    content = read_yaml(params)
    names = content.get("recipes") if isinstance(content, dict) else None
    if isinstance(content, dict) and "recipes" not in content:
        Recipe.load(params)
        names = []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecipeError(f"{params}: recipes must be a list of names, such as recipes: [digits]")
    for name in names:
        Recipe.load(recipes / f"{name}.yaml")


@app.command(rich_help_panel=MORE)
def summary(
    reports: Annotated[Path, typer.Argument(help="Folder of reports.")] = Path("reports"),
    exports: Annotated[Path, typer.Argument(help="Folder of bundles.")] = Path("exports"),
) -> None:
    """A table of all evaluated models, and where their pictures and bundles are."""
    from vae_pipeline.stages.summary import print_summary

    print_summary(_console(), reports, exports)


@app.command(rich_help_panel=MORE)
def sync() -> None:
    """Send to MLflow what could not be recorded while it was down."""
    from vae_pipeline.settings import Settings
    from vae_pipeline.tracking.tracker import Tracker

    console = _console()
    tracker = Tracker(Settings.load(), lambda text: console.print(f"[yellow]warning:[/] {text}"))
    sent, left = tracker.sync()
    console.print(f"{sent} sent, {left} waiting", highlight=False)
    if left:
        raise typer.Exit(1)


@app.command(rich_help_panel=MORE)
def schema() -> None:
    """Print the JSON schema of a recipe, for editors."""
    import json

    from vae_pipeline.recipe import Recipe

    sys.stdout.write(json.dumps(Recipe.model_json_schema(), indent=2) + "\n")


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
    del version


def _console() -> "Console":
    from rich.console import Console

    return Console(soft_wrap=True)


def _require_suffix(out: Path, *suffixes: str) -> None:
    from vae_pipeline.errors import OutputError

    if out.suffix.lower() not in suffixes:
        raise OutputError(f"{out}: the name must end in {' or '.join(suffixes)}")


def _write_images(out: Path, images: Any, model: "Bundle", columns: int | None = None, group: int = 1) -> None:
    import math

    from vae_pipeline.pictures import save_png, tile, to_pixels

    if out.suffix.lower() == ".npy":
        _write_arrays(out, images)
        return
    pixels = to_pixels(images, model.spec.low, model.spec.high)
    save_png(out, tile(pixels, columns or math.ceil(math.sqrt(len(pixels))), side=56, group=group))
    _console().print(f"{len(images)} images -> {out}", highlight=False)


def _write_arrays(out: Path, content: Any) -> None:
    import io

    import numpy as np

    from vae_pipeline.files import replace_file

    buffer = io.BytesIO()
    if isinstance(content, dict):
        np.savez(buffer, **content)
    else:
        np.save(buffer, content)
    replace_file(out, buffer.getvalue())
    _console().print(f"{out} written", highlight=False)


def _read_labels(path: Path | None) -> Any:
    from vae_pipeline.observations import read_array

    return None if path is None else read_array(path)


def main() -> None:
    """Run, and turn a user's mistake into one line and an exit code."""
    try:
        app()
    except VaeError as error:
        sys.stderr.write(f"vae-pipeline: {' '.join(str(error).split())}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
