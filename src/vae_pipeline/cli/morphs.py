"""The commands that move examples through the latent space."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vae_pipeline.cli.json_output import print_answer
from vae_pipeline.cli.options import (
    TASKS,
    TIMEOUT_S,
    BundleFolder,
    Fit,
    Inputs,
    Json,
    Key,
    Label,
    LabelFile,
    Timeout,
    read_labels,
    refuse_options,
)
from vae_pipeline.cli.output import (
    PIPE,
    console,
    image_spec,
    open_bundle,
    require_room,
    require_suffix,
    shown_as,
    write_arrays,
    write_observations,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.runtime.manifest import DirectionEntry
    from vae_pipeline.runtime.morphs import Morph

morphs = typer.Typer()
STRIP = 16  # images in a row
SOUNDS = 8  # steps from a recording to the next


@morphs.command(rich_help_panel=TASKS)
def morph(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help=".mp4 or .gif (a film), .png (a strip), .npy (values); of sound .wav (frames one after the other), a "
            "folder (a .wav each), .npy; - writes .npy to a pipe.",
        ),
    ],
    frames: Annotated[
        int | None,
        typer.Option(help="Frames in all, without those that are held. [default: 24 steps a way; of sound 8]", min=2),
    ] = None,
    path: Annotated[
        Literal["linear", "spherical", "sampler", "geodesic"],
        typer.Option(
            help="The path through the latent space; sampler: spherical in the noise that it makes latents of."
        ),
    ] = "spherical",
    even: Annotated[
        bool,
        typer.Option("--even", help="Frames that change what is seen by equal amounts, instead of equal steps of z."),
    ] = False,
    hold: Annotated[int, typer.Option(help="Frames for which each example is held longer.", min=0)] = 0,
    loop: Annotated[bool, typer.Option("--loop", help="Go back to the first; a .gif repeats for ever.")] = False,
    fps: Annotated[
        float | None, typer.Option(help="Of a film: frames a second. [default: 12.5]", min=0.1, max=100)
    ] = None,
    key: Key = None,
    resize: Fit = "none",
    label: Label = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make a film of images, or a recording of sounds, that become one another, and measure it."""
    from vae_pipeline.kinds.observations import read_observations

    model = open_bundle(bundle, timeout)
    _require_form(model, out, as_json, fps, resize)
    x = read_observations(inputs, model.spec, key, resize)
    if model.spec.kind == "audio":
        frames = frames or SOUNDS * (len(x) - 1 + loop) + 1
    require_room(model, (frames or 25 * len(x)) + hold * len(x), "frames")
    found = model.morph(x, frames, path, label, even, hold, loop)
    _write(found.frames, model, out, 12.5 if fps is None else fps, loop)
    _say(found, len(x), out, as_json)


def _require_form(model: "Bundle", out: Path, as_json: bool, fps: float | None, resize: str) -> None:
    """Refuse a file or an option that isn't of the model's kind, before anything is read.

    Raises:
        BundleError: it is a model of neither images nor sound.
        OutputError: the file's name or the folder won't do.
        DataError: an option means nothing to sound.
    """
    from vae_pipeline.kinds.image.video import require_video
    from vae_pipeline.system.files import require_writable

    if model.spec.kind != "audio":
        image_spec(model, "images or sound")
        require_suffix(out, ".mp4", ".gif", ".png", ".npy", as_json=as_json)
        if out.suffix.lower() == ".mp4":
            require_video()
        return
    refuse_options(model, fps=fps is not None, resize=resize != "none")
    if out.suffix or str(out) == PIPE:
        require_suffix(out, ".wav", ".npy", as_json=as_json)
    else:
        require_writable(out, model.folder)


def _write(frames: "npt.NDArray[Any]", model: "Bundle", out: Path, fps: float, loop: bool) -> None:
    from vae_pipeline.kinds.audio.encoding import save_recordings
    from vae_pipeline.kinds.image.sheets import save_grid, save_sequence
    from vae_pipeline.kinds.spec import AudioSpec
    from vae_pipeline.system.files import filled_folder

    suffix = out.suffix.lower()
    if suffix == ".npy" or str(out) == PIPE:
        write_arrays(out, frames)
    elif isinstance(model.spec, AudioSpec) and suffix == ".wav":
        save_recordings(out, frames, model.spec)
    elif isinstance(model.spec, AudioSpec):
        with filled_folder(out) as folder:
            for number, frame in enumerate(frames, 1):
                save_recordings(folder / f"{number:0{len(str(len(frames)))}}.wav", frame[None], model.spec)
    elif suffix == ".png":
        save_grid(out, frames, image_spec(model), min(STRIP, len(frames)))
    else:
        save_sequence(out, frames, image_spec(model), fps, loop)


@morphs.command(rich_help_panel=TASKS)
def edit(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help=".png (edited images), .npy (values), of a table .csv; - writes .npy to a pipe."
        ),
    ],
    towards: Annotated[
        list[str],
        typer.Option(
            help="A direction and how far, such as smiling:1.5 or glasses:-1; 1 leads from the mean of examples "
            "without to that of examples with it. Again for more.",
            metavar="NAME:AMOUNT",
        ),
    ],
    steps: Annotated[
        int | None,
        typer.Option(help="Of images: a strip of so many, from the reconstruction to the whole amount.", min=2),
    ] = None,
    key: Key = None,
    resize: Fit = "none",
    labels: LabelFile = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Move examples along directions of the latent space that attributes or classes have."""
    import json
    from dataclasses import asdict

    import numpy as np

    from vae_pipeline.kinds.observations import read_observations

    model, amounts = open_bundle(bundle, timeout), _amounts(towards)
    known = {name: model.directions[name] for name in amounts}  # where there are none, no input is read
    require_suffix(out, ".npy", shown_as(model), as_json=as_json)
    refuse_options(model, steps=steps is not None and model.spec.kind != "image")
    x, classes = read_observations(inputs, model.spec, key, resize), read_labels(labels)
    require_room(model, len(x) * (steps or 1), "edited examples")
    shares = np.ones(1) if steps is None else np.linspace(0, 1, steps)
    edits = [{name: share * amount for name, amount in amounts.items()} for share in shares]
    made = np.stack([model.edit(x, each, classes) for each in edits], axis=1)
    for each in known.values():
        _warn_of_chance(each)
    found = [json.dumps({"direction": name, "amount": amounts[name], **asdict(known[name])}) for name in amounts]
    write_observations(out, made.reshape(-1, *made.shape[2:]), model, as_json, steps, found)


def _amounts(towards: list[str]) -> dict[str, float]:
    """The amounts by their directions' names.

    Raises:
        DataError: one of them is none.
    """
    from vae_pipeline.system.errors import DataError

    amounts: dict[str, float] = {}
    for given in towards:
        name, _, amount = given.rpartition(":")
        try:
            value = float(amount)
        except ValueError:
            value = math.nan
        if not name or not math.isfinite(value):
            raise DataError(f"--towards {given} was given: wanted a name and a number, such as --towards smiling:1.5")
        if name in amounts:
            raise DataError(f"--towards {name} was given twice: give it once")
        amounts[name] = value
    return amounts


def _warn_of_chance(direction: "DirectionEntry") -> None:
    """Say of a direction that validation examples don't bear it out."""
    if not direction.is_chance:
        return
    judged = "no validation example judges it"
    if direction.auroc is not None:
        judged = (
            f"on validation examples it is no better than chance, AUROC {direction.auroc:.2f} ± "
            f"{direction.auroc_standard_error:.2f}"
        )
    console(stderr=True).print(
        f"warning: {direction.name}: {judged}; {direction.shown:,} training examples show it and {direction.others:,} "
        "don't. What it changes need not be what it is named after",
        style="yellow",
    )


def _say(found: "Morph", images: int, out: Path, as_json: bool) -> None:
    """The file that was written, and the measures of each way and of the whole."""
    import json
    from dataclasses import asdict

    ways = [f"{at + 1} to {(at + 1) % images + 1}" for at in range(len(found.ways))]
    rows = [*zip(ways, found.ways, strict=True), ("whole", found.whole)]
    if as_json:
        print_answer(len(found.frames), out, [json.dumps({"way": way, **asdict(each)}) for way, each in rows])
    elif str(out) != PIPE:
        from rich.table import Table

        terminal = console()
        table = Table("way", "variation of steps", "length / chord", "middle", box=None, pad_edge=False)
        for way, each in rows if len(ways) > 1 else rows[:1]:
            table.add_row(way, *("-" if value is None else f"{value:.3f}" for value in asdict(each).values()))
        terminal.print(table)
        terminal.print(f"{len(found.frames)} frames -> {out}")
