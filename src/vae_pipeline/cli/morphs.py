"""The commands that move images through the latent space."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vae_pipeline.cli.json_output import print_answer
from vae_pipeline.cli.options import TASKS, TIMEOUT_S, BundleFolder, Fit, Inputs, Json, Key, Label, Timeout
from vae_pipeline.cli.output import PIPE, console, image_spec, open_bundle, require_room, require_suffix, write_arrays

if TYPE_CHECKING:
    from vae_pipeline.runtime.morphs import Morph

morphs = typer.Typer()
STRIP = 16  # images in a row


@morphs.command(rich_help_panel=TASKS)
def morph(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help=".mp4 or .gif (a film), .png (a strip), .npy (values); - writes .npy to a pipe."
        ),
    ],
    frames: Annotated[
        int | None,
        typer.Option(help="Frames in all, without those that are held. [default: 24 steps a way]", min=2),
    ] = None,
    path: Annotated[
        Literal["linear", "spherical", "geodesic"], typer.Option(help="The path through the latent space.")
    ] = "spherical",
    even: Annotated[
        bool,
        typer.Option("--even", help="Frames that change what is seen by equal amounts, instead of equal steps of z."),
    ] = False,
    hold: Annotated[int, typer.Option(help="Frames for which each image is held longer.", min=0)] = 0,
    loop: Annotated[bool, typer.Option("--loop", help="Go back to the first image; a .gif repeats for ever.")] = False,
    fps: Annotated[float, typer.Option(help="Of a film: frames a second.", min=0.1, max=100)] = 12.5,
    key: Key = None,
    resize: Fit = "none",
    label: Label = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make a film of images that become one another, and measure it."""
    from vae_pipeline.kinds.image.sheets import save_grid, save_sequence
    from vae_pipeline.kinds.image.video import require_video
    from vae_pipeline.kinds.observations import read_observations

    model = open_bundle(bundle, timeout)
    spec = image_spec(model)
    suffix = out.suffix.lower()
    require_suffix(out, ".mp4", ".gif", ".png", ".npy", as_json=as_json)
    if suffix == ".mp4":
        require_video()
    x = read_observations(inputs, spec, key, resize)
    require_room(model, (frames or 25 * len(x)) + hold * len(x), "frames")
    found = model.morph(x, frames, path, label, even, hold, loop)
    if suffix in (".mp4", ".gif"):
        save_sequence(out, found.frames, spec, fps, loop)
    elif suffix == ".png":
        save_grid(out, found.frames, spec, min(STRIP, len(found.frames)))
    else:
        write_arrays(out, found.frames)
    _say(found, len(x), out, as_json)


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
