"""The commands that run a stage of the pipeline, and those that train its models again and again to compare them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vae_pipeline.cli.completion import recipes
from vae_pipeline.cli.json_output import print_answer
from vae_pipeline.cli.options import MORE, STAGES, Json, Seed
from vae_pipeline.cli.output import console, print_columns

stages = typer.Typer()

RecipeFile = Annotated[
    Path, typer.Argument(help="A recipe, such as pipeline/digits.yaml.", metavar="RECIPE", autocompletion=recipes)
]
Data = Annotated[Path, typer.Option(help="Folder that `prepare` filled.")]
Model = Annotated[Path, typer.Option(help="Folder that `train` filled.")]
OutFolder = Annotated[Path, typer.Option(help="Folder to fill; replaced once all has gone well.")]


@stages.command(rich_help_panel=STAGES)
def prepare(recipe: RecipeFile, out: OutFolder, seed: Seed = 0) -> None:
    """Prepare raw data: memory-mapped arrays, split, with a data card; an interrupted run goes on where it was."""
    from vae_pipeline.stages.download_display import showing_downloads
    from vae_pipeline.stages.job import Job
    from vae_pipeline.stages.prepare import prepare as run
    from vae_pipeline.stages.progress_display import showing_progress

    terminal = console()
    with showing_downloads(terminal) as report, showing_progress(terminal, recipe.stem):
        card = run(Job.of(recipe, seed, terminal), out, report)
    counts = ", ".join(f"{count:,} {part}" for part, count in card["examples"].items())
    print_columns(terminal, card)
    terminal.print(f"{recipe.stem}: {counts}, each {card['shape']} {card['dtype']} -> {out}")
    for reason, count in card["dropped"].items():
        terminal.print(f"left out: {count} x {reason}", style="yellow")
    for note in card.get("notes", ()):
        terminal.print(note, style="yellow")


@stages.command(rich_help_panel=STAGES)
def train(recipe: RecipeFile, data: Data, out: OutFolder, seed: Seed = 0) -> None:
    """Train a model on prepared data; an interrupted run goes on where it was."""
    from vae_pipeline.stages.launch import launch, launched
    from vae_pipeline.system.settings import Settings

    settings = Settings.load()
    if settings.processes > 1 and not launched():
        arguments = ["train", recipe, "--data", data, "--out", out, "--seed", seed]
        launch([str(argument) for argument in arguments], settings.processes, settings.threads)
        return

    from vae_pipeline.stages.job import Job
    from vae_pipeline.stages.train import train as run

    terminal = console()
    report = run(Job.of(recipe, seed, terminal), data, out)
    if report is None:  # another process writes
        return
    elbo = report.kept.valid_elbo if report.kept.valid_elbo is not None else report.kept.train_elbo
    part = "valid" if report.kept.valid_elbo is not None else "train"
    terminal.print(
        f"{recipe.stem}: {report.epochs} epochs{f' {report.ended}' if report.ended else ''}, "
        f"kept epoch {report.kept.epoch} ({part} ELBO {elbo:.2f}), "
        f"weights {report.weights_sha256[:12]} -> {out}",
    )


@stages.command("eval", rich_help_panel=STAGES)
def evaluate(recipe: RecipeFile, data: Data, model: Model, out: OutFolder, seed: Seed = 0) -> None:
    """Measure a model on the test part and draw pictures; fails if a gate of the recipe does."""
    from vae_pipeline.stages.evaluate import evaluate as run
    from vae_pipeline.stages.job import Job
    from vae_pipeline.stages.progress_display import showing_progress
    from vae_pipeline.stages.report import PAGE

    terminal = console()
    with showing_progress(terminal, recipe.stem):
        metrics = run(Job.of(recipe, seed, terminal), data, model, out)
    shape = metrics.get("pareto_k_over_0.7")
    tail = f", k̂ over 0.7 for {shape:.0%}" if shape is not None else ""
    bound = f"importance bound {metrics['importance_bound']:.2f} (K = {metrics['importance_samples']}{tail})"
    active = f"{metrics['active_units']} of {metrics['latents']} units active"
    terminal.print(f"{recipe.stem}: ELBO {metrics['elbo']:.2f}, {bound}, {active} -> {out / PAGE}")


@stages.command(rich_help_panel=STAGES)
def export(
    recipe: RecipeFile,
    data: Data,
    model: Model,
    report: Annotated[Path, typer.Option(help="Folder that `eval` filled.")],
    out: OutFolder,
    seed: Seed = 0,
    layout: Annotated[
        Literal["bundle", "diffusers"],
        typer.Option(help="A bundle, or a folder for AutoencoderKL.from_pretrained of diffusers."),
    ] = "bundle",
) -> None:
    """Export a model as a bundle of ONNX graphs, each proved equal to it; or for diffusers."""
    from vae_pipeline.stages.job import Job

    terminal = console()
    if layout == "diffusers":
        from vae_pipeline.stages.export_diffusers import export_diffusers

        scale = export_diffusers(Job.of(recipe, seed, terminal), data, model, report, out)
        terminal.print(f"{recipe.stem}: an AutoencoderKL of diffusers, scaling factor {scale:.6g} -> {out}")
        return

    from vae_pipeline.stages.export import export as run
    from vae_pipeline.stages.progress_display import showing_progress

    with showing_progress(terminal, recipe.stem):
        done = run(Job.of(recipe, seed, terminal), data, model, report, out)
    terminal.print(
        f"{recipe.stem}: {done.graphs} graphs, differing from the model by at most {done.difference:.1e} -> {out}",
    )


@stages.command(rich_help_panel=MORE)
def shards(
    data: Annotated[Path, typer.Argument(help="Folder that `prepare` filled, by a recipe with data.shards.")],
    machines: Annotated[int, typer.Option(help="Machines that train together.", min=1)],
    each: Annotated[int, typer.Option(help="Processes on each, such as its GPUs.", min=1)] = 1,
    machine: Annotated[
        int | None,
        typer.Option(help="Name the files of this one alone, from 0, as rsync --files-from takes them.", min=0),
    ] = None,
) -> None:
    """Name the files that each machine needs to train on data in shards."""
    from vae_pipeline.stages.shards import files_of_machines
    from vae_pipeline.system.errors import SettingsError

    found = files_of_machines(data, machines, each)
    if machine is None:
        for number, names in enumerate(found):
            typer.echo(f"machine {number}: {' '.join(names)}")
        return
    if machine >= machines:
        raise SettingsError(f"--machine {machine} was given: {machines} machines are numbered from 0 to {machines - 1}")
    typer.echo("\n".join(found[machine]))


@stages.command("rate-distortion", rich_help_panel=MORE)
def rate_distortion(
    recipe: RecipeFile,
    data: Data,
    out: OutFolder,
    betas: Annotated[str | None, typer.Option(help="Weights of the rate. [default: 0.1,0.3,1,3,10]")] = None,
    rates: Annotated[str | None, typer.Option(help="Or rates to steer for, in nats, such as 2,5,10,20.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Of each point after the first. [default: a quarter of the recipe's]", min=1)
    ] = None,
    seed: Seed = 0,
) -> None:
    """Train a model at several prices of the rate, and draw distortion over rate on the validation part."""
    from vae_pipeline.stages.job import Job
    from vae_pipeline.stages.rate_distortion import controls_of
    from vae_pipeline.stages.rate_distortion import rate_distortion as run

    terminal = console()
    points = run(Job.of(recipe, seed, terminal), data, out, controls_of(betas, rates), epochs)
    best = max(points, key=lambda point: point.elbo)
    terminal.print(
        f"{recipe.stem}: {len(points)} points, the highest ELBO is {best.elbo:.2f} at beta {best.beta:.3g} -> {out}"
    )


@stages.command(rich_help_panel=MORE)
def sweep(
    recipe: RecipeFile,
    settings: Annotated[
        list[str],
        typer.Option(
            "--set",
            help="A key of the recipe and its values: choices (8,16,32), or a range (16..64, 16..64:step=16, "
            "0.0003..0.003:log); again for more keys.",
            metavar="KEY=VALUES",
        ),
    ],
    trials: Annotated[int, typer.Option(help="Trials in all, those of earlier commands among them.", min=1)] = 20,
    metric: Annotated[
        str, typer.Option(help="The figure that is to be best, of docs/figures.md; on the validation part.")
    ] = "importance_bound",
    out: Annotated[
        Path | None, typer.Option(help="The sweep's folder; it is gone on with. [default: sweeps/RECIPE]")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that `prepare` filled. [default: prepared in the sweep's folder]")
    ] = None,
    best: Annotated[
        Path | None, typer.Option(help="File for the best recipe. [default: beside the recipe, RECIPE_best.yaml]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --best replace a file that is another's.")] = False,
    prune: Annotated[
        bool, typer.Option(help="End a trial whose validation ELBO falls under the median of the others'.")
    ] = True,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Search for the best values of a recipe's keys, by models that are measured on the validation part."""
    import shlex
    import sys

    from vae_pipeline.recipe.space import Space
    from vae_pipeline.stages.job import Job
    from vae_pipeline.stages.search import Search
    from vae_pipeline.stages.sweep import sweep as run
    from vae_pipeline.stages.sweep_results import as_objects, print_table

    space, terminal = Space.parse(settings), console(stderr=as_json)
    out = out or Path("sweeps", recipe.stem)
    best = best or recipe.with_name(f"{recipe.stem}_best.yaml")
    command = shlex.join(["vae-pipeline", *sys.argv[1:]])
    search = Search(recipe, space, metric, trials, best, prune, force, command)
    rows = run(Job.of(recipe, seed, terminal), search, out, data)
    if as_json:
        print_answer(len(rows), best, found=as_objects(rows))
        return
    print_table(terminal, rows, metric)
    terminal.print(f"{recipe.stem}: {len(rows)} trials -> {out}; the best recipe -> {best}")


@stages.command(rich_help_panel=MORE)
def study(
    recipe: RecipeFile,
    out: Annotated[
        Path | None, typer.Option(help="Folder to fill; replaced once all has gone well. [default: studies/RECIPE]")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that `prepare` filled. [default: prepared in VAE_HOME]")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Say whether images of a VAE, or another augmentation, help a classifier of few labelled images."""
    import json

    from vae_pipeline.evaluation.study.method import FIGURES, choosing
    from vae_pipeline.evaluation.study.page import advice, reasons_of
    from vae_pipeline.stages.augmentation.study import PAGE, as_object
    from vae_pipeline.stages.augmentation.study import study as run
    from vae_pipeline.stages.job import Job

    terminal, out = console(stderr=as_json), out or Path("studies", recipe.stem)
    job = Job.of(recipe, seed, terminal)
    found = run(job, recipe, out, data)
    if as_json:
        print_answer(len(found), out, found=(json.dumps(as_object(each)) for each in found))
        return
    named = FIGURES[job.recipe.study.metric]
    terminal.print(advice(found, named))
    for line in reasons_of(found, named, choosing(job.recipe.study)):
        terminal.print(line)
    terminal.print(f"{recipe.stem} -> {out / PAGE}")
