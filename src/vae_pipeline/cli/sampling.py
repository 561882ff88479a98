"""The command that draws new examples of an exported bundle: onnxruntime, and no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vae_pipeline.cli.options import (
    TASKS,
    TIMEOUT_S,
    Beams,
    BundleFolder,
    Choose,
    Draw,
    Grid,
    Json,
    Label,
    LevelTemperature,
    Seed,
    Timeout,
    TopK,
    TopP,
    choice,
    refuse_choices,
    refuse_options,
)
from vae_pipeline.cli.output import (
    PIPE,
    open_bundle,
    origin_of,
    progress,
    require_room,
    require_suffix,
    say,
    shown_as,
    write_arrays,
    write_observations,
    write_sentences,
)
from vae_pipeline.cli.rows import Balance, Check, OnlyValid, Where, advancing, found_in, tell

if TYPE_CHECKING:
    from vae_pipeline.kinds.table.drawing import Drawing
    from vae_pipeline.runtime.samples import SampleStream

sampling = typer.Typer()


@sampling.command(rich_help_panel=TASKS)
def sample(
    bundle: BundleFolder,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help=".npy (values), .png (a grid), of sound .wav (one after the other), of a table .csv or .parquet, of "
            "text .txt; - writes to a pipe.",
        ),
    ],
    count: Annotated[int, typer.Option(help="How many.", min=1)] = 64,
    seed: Seed = 0,
    label: Label = None,
    grid: Grid = None,
    choose: Choose = None,
    temperature: LevelTemperature = "1",
    draw: Draw = None,
    where: Where = None,
    balance: Balance = None,
    check: Check = None,
    only_valid: OnlyValid = False,
    top_k: TopK = None,
    top_p: TopP = None,
    beams: Beams = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Draw new examples from the fitted sampler, or from the prior."""
    from vae_pipeline.kinds.spec import TableSpec
    from vae_pipeline.runtime.temperature import one, temperatures
    from vae_pipeline.system.errors import DataError

    by_level = temperatures(temperature)
    model = open_bundle(bundle, timeout)
    if isinstance(model.spec, TableSpec):
        from vae_pipeline.kinds.table.drawing import Drawing
        from vae_pipeline.runtime.samples import SampleStream

        refuse_choices(model, choose, 1, top_k, top_p, beams)
        refuse_options(model, label=label is not None, grid=grid is not None)
        require_suffix(out, ".npy", ".csv", ".parquet", as_json=as_json)
        if out.suffix.lower() not in (".csv", ".parquet"):
            require_room(model, count, "samples")
        drawing = Drawing(model.spec, where or (), balance, check or (), only_valid)
        stream = SampleStream(model, seed, by_level, draw)
        if not stream.draws and (where or balance or check):
            raise DataError("--mean gives means, of which --where, --balance and --check say nothing: leave it out")
        _write_rows(out, stream, drawing, count, as_json)
        return
    refuse_options(
        model, where=bool(where), balance=balance is not None, check=bool(check), only_valid=only_valid
    )  # fmt: skip
    require_room(model, count, "samples")
    if model.spec.kind == "text":
        require_suffix(out, ".txt", as_json=as_json)
        refuse_options(model, label=label is not None, grid=grid is not None, draw=draw is not None)
        chosen = choice(choose or "sample", one(by_level), top_k, top_p, beams)
        write_sentences(out, model.sentences.sample(count, seed, chosen), as_json)
        return
    refuse_choices(model, choose, 1, top_k, top_p, beams)
    require_suffix(out, ".npy", shown_as(model), as_json=as_json)
    refuse_options(model, grid=grid is not None and model.spec.kind != "image")
    with progress(model, count):
        x = model.sample(count, seed, label, by_level, draw)
    write_observations(out, x, model, as_json, grid)


def _write_rows(out: Path, stream: "SampleStream", drawing: "Drawing", count: int, as_json: bool) -> None:
    """Write a table's rows as they are drawn, with what is to be known of them."""
    import numpy as np

    from vae_pipeline.kinds.table.synthetic_files import write_synthetic

    pieces = advancing(drawing.rows(stream, count), count)
    if str(out) == PIPE:
        write_arrays(out, np.concatenate(list(pieces)))
        return
    write_synthetic(out, pieces, drawing.columns, lambda: {**_origin(stream), **drawing.told()}, stream.draws)
    told = drawing.told()
    if not as_json:
        tell(told)
    say(out, count, "rows", as_json, found_in(told))


def _origin(stream: "SampleStream") -> dict[str, Any]:
    """The origin of the rows, and how good the report found such rows to be."""
    from vae_pipeline.recipe.figures.tables import TABLES

    of = stream.of.manifest
    figures = [name for figure in TABLES for name in (figure.key, *(key for key, _ in figure.beside))]
    return {
        **origin_of(stream.of),
        "seed": stream.seed,
        **({} if of.privacy is None else {"privacy": of.privacy.told}),
        **({} if stream.draws else {"means": True}),
        **({} if stream.temperature in (1.0, [1.0]) else {"temperature": stream.temperature}),
        "figures": {name: of.metrics[name] for name in figures if name in of.metrics},
    }
