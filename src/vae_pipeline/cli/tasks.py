"""The commands that use an exported bundle on examples: onnxruntime, and no torch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vae_pipeline.cli.options import (
    TASKS,
    TIMEOUT_S,
    Beams,
    BundleFolder,
    Choose,
    Column,
    Fit,
    Inputs,
    Json,
    Keep,
    Key,
    Label,
    LabelFile,
    Seed,
    Temperature,
    Tile,
    Timeout,
    TopK,
    TopP,
    choice,
    read_labels,
    refuse_choices,
    refuse_options,
    refuse_tiles,
    require_options,
    seen_spec,
)
from vae_pipeline.cli.output import (
    image_spec,
    open_bundle,
    progress,
    require_room,
    require_suffix,
    say,
    shown_as,
    write_arrays,
    write_observations,
    write_sentences,
    write_table,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vae_pipeline.runtime.bundle import Bundle

tasks = typer.Typer()


@tasks.command(rich_help_panel=TASKS)
def reconstruct(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help=".npy (values), .png (inputs above reconstructions), of sound .wav, of a table .csv, of text .txt; - "
            "writes to a pipe.",
        ),
    ],
    key: Key = None,
    resize: Fit = "none",
    tile: Tile = None,
    labels: LabelFile = None,
    column: Column = None,
    choose: Choose = None,
    temperature: Temperature = 1.0,
    top_k: TopK = None,
    top_p: TopP = None,
    beams: Beams = None,
    seed: Seed = 0,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Encode and decode."""
    from vae_pipeline.kinds.spec import TextSpec

    model = open_bundle(bundle, timeout)
    require_options(model, key, resize, labels, column)
    refuse_tiles(model, tile)
    if isinstance(model.spec, TextSpec):
        require_suffix(out, ".txt", as_json=as_json)
        chosen = choice(choose or "greedy", temperature, top_k, top_p, beams)
        write_sentences(out, model.sentences.reconstruct(_sentences(model, inputs, column), chosen, seed), as_json)
        return
    refuse_choices(model, choose, temperature, top_k, top_p, beams)
    require_suffix(out, ".npy", shown_as(model), as_json=as_json)
    from vae_pipeline.kinds.observations import read_observations

    x = read_observations(inputs, seen_spec(model, inputs, key, resize), key, resize)
    with progress(model, len(x)):
        x_mean = model.reconstruct(x, read_labels(labels), tile)
    if out.suffix.lower() == ".png":
        from vae_pipeline.kinds.image.sheets import save_pairs

        save_pairs(out, x, x_mean, image_spec(model))
        say(out, len(x), "images", as_json)
    else:
        write_observations(out, x_mean, model, as_json)


@tasks.command(rich_help_panel=TASKS)
def encode(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help=".npy (means), .npz (mean and log_variance), .csv or .parquet (both); - writes .npy to a pipe.",
        ),
    ],
    key: Key = None,
    resize: Fit = "none",
    tile: Tile = None,
    scaled: Annotated[
        bool, typer.Option("--scaled", help="Of maps: each channel less its mean, over its deviation.")
    ] = False,
    labels: LabelFile = None,
    column: Column = None,
    keep: Keep = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Latent position of each example."""
    from vae_pipeline.kinds.observations import Examples
    from vae_pipeline.kinds.spec import TextSpec
    from vae_pipeline.system.errors import DataError

    require_suffix(out, ".npy", ".npz", ".csv", ".parquet", as_json=as_json)
    as_table = out.suffix.lower() in (".csv", ".parquet")
    if keep and not as_table:
        raise DataError(f"{out} holds arrays, in which --keep has no place: write .csv or .parquet")
    model = open_bundle(bundle, timeout)
    require_options(model, key, resize, labels, column)
    refuse_options(model, keep=bool(keep) and not model.spec.names)
    refuse_tiles(model, tile, scaled)
    if as_table and model.latent_map is not None:
        raise DataError(f"{out} is a table, and this model's latents are a map: write .npy or .npz")
    if isinstance(model.spec, TextSpec):
        x = _sentences(model, inputs, column)
        origins = {"example": list(range(len(x)))}
    else:
        seen = Examples(inputs, seen_spec(model, inputs, key, resize), key, resize, keep=keep or ()).all()
        x, origins = seen.x, seen.origins()
    with progress(model, len(x)):
        if model.latent_map is None:
            found = model.encode(x, read_labels(labels))
        else:
            found = model.encode_map(x, read_labels(labels), tile, scaled)
    if as_table:
        import pandas as pd

        means = {f"mean_{unit}": values for unit, values in enumerate(found.mean.T)}
        log_variances = {f"log_variance_{unit}": values for unit, values in enumerate(found.log_variance.T)}
        write_table(pd.DataFrame({**origins, **means, **log_variances}), out, "latent positions", as_json)
        return
    if out.suffix.lower() == ".npz":
        write_arrays(out, {"mean": found.mean, "log_variance": found.log_variance})
    else:
        write_arrays(out, found.mean)
    say(out, len(x), "latent positions", as_json)


@tasks.command(rich_help_panel=TASKS)
def interpolate(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help=".gif (a film), .png (a strip), .npy (values), of sound .wav, of text .txt; - writes to a pipe.",
        ),
    ],
    steps: Annotated[int, typer.Option(help="Examples from the first to the last.", min=2)] = 16,
    path: Annotated[
        Literal["linear", "spherical"] | None,
        typer.Option(help="The path through the latent space. [default: spherical; of text linear]"),
    ] = None,
    even: Annotated[
        bool,
        typer.Option("--even", help="Steps that change what is seen by equal amounts, instead of equal steps of z."),
    ] = False,
    key: Key = None,
    resize: Fit = "none",
    label: Label = None,
    column: Column = None,
    beams: Annotated[int, typer.Option(help="Of text: beginnings that a search keeps; 1 is greedy.", min=1)] = 1,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Morph the first example into the second, the second into the third, and so on."""
    from itertools import pairwise

    import numpy as np

    from vae_pipeline.kinds.image.sheets import save_film
    from vae_pipeline.kinds.observations import read_observations
    from vae_pipeline.system.errors import DataError

    model = open_bundle(bundle, timeout)
    require_options(model, key, resize, None, column)
    require_room(model, steps, "steps")
    if model.spec.kind == "text":
        require_suffix(out, ".txt", as_json=as_json)
        refuse_options(model, label=label is not None, even=even)
        x = _sentences(model, inputs, column)
        if len(x) < 2:
            raise DataError(f"a path needs two sentences or more; given {len(x)}: give one a line")
        chosen = choice("beam" if beams > 1 else "greedy", 1.0, None, None, beams if beams > 1 else None)
        means = model.sentences.encode(x).mean
        ways = [model.sentences.between(a, b, steps, path or "linear", chosen) for a, b in pairwise(means)]
        write_sentences(out, [*ways[0], *(each for way in ways[1:] for each in way[1:])], as_json)
        return
    sound = model.spec.kind == "audio"
    spec = model.spec if sound else image_spec(model, "images, sound or sentences")
    require_suffix(out, *([".wav"] if sound else [".gif", ".png"]), ".npy", as_json=as_json)
    refuse_options(model, beams=beams != 1)
    x = read_observations(inputs, spec, key, resize)
    if len(x) < 2:
        raise DataError(f"a path needs two examples or more; given {len(x)}: name another file")
    morphs = [model.interpolate(a, b, steps, path or "spherical", label, even) for a, b in pairwise(x)]
    frames = np.concatenate([morphs[0], *(morph[1:] for morph in morphs[1:])])
    if out.suffix.lower() == ".gif":
        save_film(out, frames, image_spec(model))
        say(out, len(frames), "steps", as_json)
    else:
        write_observations(out, frames, model, as_json, steps if len(morphs) == 1 else None)


def _sentences(model: "Bundle", inputs: list[Path], column: str | None) -> "npt.NDArray[np.int32]":
    from vae_pipeline.kinds.text.inputs import read_sentences

    return read_sentences(inputs, model.sentences.tokens, column).x
