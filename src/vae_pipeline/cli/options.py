"""The options of commands on a bundle, and which of them mean something to a model of some kind."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vae_pipeline.cli.completion import bundles, completing

if TYPE_CHECKING:
    from vae_pipeline.kinds.spec import DataSpec
    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.runtime.choosing import Choice

TIMEOUT_S = 15.0  # as `sessions` has it, without its imports
BEGIN, STAGES, TASKS, MORE = "To begin", "Stages of the pipeline", "Tasks on an exported bundle", "More"
"""Headings of the commands in the help."""

Seed = Annotated[int, typer.Option(help="The one seed, from which every draw is derived.", min=0, max=2**32 - 1)]

Kinds = Annotated[
    list[str] | None,
    typer.Option(
        help="Of a table: what a column is where its values don't tell: number, boolean, category, date, ignored; "
        "again for more.",
        metavar="NAME=KIND",
    ),
]
Csv = Annotated[
    list[str] | None,
    typer.Option(
        help="Of a table: how its text is written where that can't be told: encoding, separator, quote, header, "
        "comment, decimal, thousands; again for more.",
        metavar="KEY=VALUE",
    ),
]


def pairs(option: str, told: list[str] | None, example: str) -> dict[str, str]:
    """The names and values of an option that is given as NAME=VALUE, once or more often.

    Raises:
        DataError: one isn't.
    """
    from vae_pipeline.system.errors import DataError

    found = dict(part.partition("=")[::2] for part in told or [])
    for name, value in found.items():
        if not name or not value:
            raise DataError(f"{option} {name or value!r} was given; wanted {example}")
    return found


def _local(bundle: str) -> Path:
    if completing() or not bundle.startswith(("models:/", "hf://")):
        return Path(bundle)

    from vae_pipeline.system.settings import Settings

    if bundle.startswith("hf://"):
        from vae_pipeline.bundles.hub import fetch

        fetched = fetch(bundle, Settings.load().home)
        sys.stderr.write(f"vae-pipeline: {bundle} is at commit {fetched.commit}\n")
        return fetched.folder

    from vae_pipeline.system.tracking.tracker import fetch_bundle

    return fetch_bundle(bundle, Settings.load())


BundleFolder = Annotated[
    Path,
    typer.Argument(
        help="Folder that `export` filled, models:/NAME@ALIAS of MLflow's registry, or hf://OWNER/NAME[@REVISION] of "
        "the Hugging Face Hub.",
        metavar="BUNDLE",
        parser=_local,
        autocompletion=bundles,
    ),
]
Inputs = Annotated[
    list[Path],
    typer.Argument(
        help=".npy, .npz or picture files, folders or archives of pictures, tables (.csv, .parquet), or text of a "
        "sentence a line, plain or gzipped; - reads .npy, or text, from a pipe",
        metavar="INPUT...",
    ),
]
Key = Annotated[str | None, typer.Option(help="Which array of an .npz.")]
Fit = Annotated[
    Literal["none", "stretch", "crop", "pad"],
    typer.Option(help="How pictures of another size are brought to the model's."),
]
Tile = Annotated[
    int | None,
    typer.Option(
        help="Of a model whose latents are a map: compute images in tiles of so many pixels a side, in less memory.",
        min=1,
    ),
]
Label = Annotated[str | None, typer.Option(help="Class of all examples, by name or number, for a conditional model.")]
Timeout = Annotated[
    float, typer.Option(help="Seconds that a graph may take to open, or for a batch of up to 256 rows.", min=0.1)
]
Json = Annotated[bool, typer.Option("--json", help="Print what is found, or what was done, as JSON.")]
Grid = Annotated[int | None, typer.Option("--grid", help="Columns of a .png. [default: a square]", min=1)]
Choose = Annotated[
    Literal["greedy", "sample", "beam"] | None,
    typer.Option(help="Of text: how each token is chosen. [default: sample for new sentences, else greedy]"),
]
Temperature = Annotated[float, typer.Option(help="Of drawn tokens: under 1, likely ones are drawn more often.")]
LevelTemperature = Annotated[
    str,
    typer.Option(
        metavar="T[,T...]",
        help="Factor of the noise of new latents: under 1, likelier and less diverse; one for all levels of a ladder, "
        "or one for each, topmost first. Of text: of drawn tokens.",
    ),
]
Draw = Annotated[
    bool | None,
    typer.Option(
        "--draw/--mean",
        help="Whole rows of a table, with their noise, classes and gaps, or the mean of each; images with their noise "
        "(where the recipe has export.draws) or their means. [default: draw rows, and means of images]",
    ),
]
TopK = Annotated[int | None, typer.Option(help="Of drawn tokens: from the k likeliest alone.", min=1)]
TopP = Annotated[float | None, typer.Option(help="Of drawn tokens: from the fewest that have this probability.")]
Beams = Annotated[int | None, typer.Option(help="Of --choose beam: beginnings that are kept. [default: 4]", min=1)]
Column = Annotated[str | None, typer.Option(help="Of text: the column that holds it, of a .csv or .parquet.")]
Keep = Annotated[
    list[str] | None,
    typer.Option(help="Of a table: a column, such as an id, to repeat beside each row; again for more."),
]
LabelFile = Annotated[
    Path | None, typer.Option(help="An .npy of one class an example, by name or number, for a conditional model.")
]


def refuse_options(model: "Bundle", **given: bool) -> None:
    """Refuse an option that was given and means nothing to a model of this kind.

    Raises:
        DataError: there is one.
    """
    from vae_pipeline.kinds.words import words_of
    from vae_pipeline.system.errors import DataError

    kind = words_of(model.spec).nouns
    for name, is_given in given.items():
        if is_given:
            raise DataError(f"--{name.replace('_', '-')} means nothing to a model of {kind}: leave it out")


def seen_spec(model: "Bundle", inputs: list[Path], key: str | None, resize: str) -> "DataSpec":
    """The spec to read inputs by: where latents are a map, images are as large as the first, unless resized."""
    from vae_pipeline.kinds.input_files import as_large_as
    from vae_pipeline.kinds.spec import ImageSpec

    if model.latent_map is None or resize != "none" or not isinstance(model.spec, ImageSpec):
        return model.spec
    return as_large_as(inputs[0], model.spec, key)


def refuse_tiles(model: "Bundle", tile: int | None, scaled: bool = False) -> None:
    """Refuse options of maps of latents for a model whose latents are a vector.

    Raises:
        DataError: one is given.
    """
    from vae_pipeline.system.errors import DataError

    given = "--tile" if tile is not None else "--scaled" if scaled else None
    if given and model.latent_map is None:
        raise DataError(f"{given} is for a model whose latents are a map, and those of {model.folder} are a vector")


def choice(
    kind: Literal["greedy", "sample", "beam"],
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    beams: int | None,
) -> "Choice":
    """The choice of tokens that the options ask for.

    Raises:
        DataError: the options contradict each other.
    """
    from vae_pipeline.runtime.choosing import Choice
    from vae_pipeline.system.errors import DataError

    if beams is not None and kind != "beam":
        raise DataError(f"--beams {beams} was given, and {kind} keeps no beginnings: take --choose beam")
    return Choice(kind, temperature, top_k, top_p, beams or Choice.beams)


def refuse_choices(
    model: "Bundle", choose: str | None, temperature: float, top_k: int | None, top_p: float | None, beams: int | None
) -> None:
    """Refuse options of how tokens are chosen, for a model that has none.

    Raises:
        DataError: one is given.
    """
    given = {"choose": choose, "top_k": top_k, "top_p": top_p, "beams": beams}
    refuse_options(model, **{name: value is not None for name, value in given.items()}, temperature=temperature != 1)


def require_options(model: "Bundle", key: str | None, resize: str, labels: Path | None, column: str | None) -> None:
    """Refuse what means nothing to the model, of the options about inputs.

    Raises:
        DataError: such an option is given.
    """
    if model.spec.kind == "text":
        refuse_options(model, key=key is not None, resize=resize != "none", labels=labels is not None)
    else:
        refuse_options(model, column=column is not None, resize=model.spec.kind == "audio" and resize != "none")


def read_labels(path: Path | None) -> Any:
    """The classes of a LabelFile."""
    from vae_pipeline.kinds.input_files import read_array

    return None if path is None else read_array(path)
