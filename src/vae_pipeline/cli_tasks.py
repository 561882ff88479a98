"""The commands that use an exported bundle: onnxruntime, and no torch."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vae_pipeline.conformance.runtimes import Runtime

if TYPE_CHECKING:
    from rich.console import Console

    from vae_pipeline.runtime import Bundle

TASKS = "Tasks on an exported bundle"

tasks = typer.Typer()

Seed = Annotated[int, typer.Option(help="The one seed, from which every draw is derived.", min=0, max=2**32 - 1)]
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


@tasks.command(rich_help_panel=TASKS)
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


@tasks.command(rich_help_panel=TASKS)
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


@tasks.command(rich_help_panel=TASKS)
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


@tasks.command(rich_help_panel=TASKS)
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
        console().print(f"{len(x)} scores -> {out}")


@tasks.command(rich_help_panel=TASKS)
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
        console().print(f"{len(frames)} steps -> {out}")
    else:
        _write_images(out, frames, model, steps if len(morphs) == 1 else None)


@tasks.command(rich_help_panel=TASKS)
def verify(bundle: BundleFolder) -> None:
    """Check that a bundle is whole, and that each graph gives its golden answers on this machine."""
    from vae_pipeline.verification import verify as verified

    rows = verified(bundle)
    for row in rows:
        console().print(f"{row.graph:12}{row.sha256[:12]}  within {row.difference:.1e}")
    console().print(f"{bundle}: whole, and its {len(rows)} graphs give their golden answers")


@tasks.command(rich_help_panel=TASKS)
def conform(
    bundle: BundleFolder,
    runtime: Annotated[
        list[Runtime] | None,
        typer.Option(
            help=f"One of {', '.join(Runtime)}; again for more. [default: all that are installed]", metavar="NAME"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help=".json of the table.")] = None,
) -> None:
    """Run every graph in other runtimes and compare with the golden answers."""
    from vae_pipeline.conformance.conform import conform as run
    from vae_pipeline.conformance.conform import require
    from vae_pipeline.conformance.table import print_table, write_table
    from vae_pipeline.settings import Settings

    if out is not None:
        _require_suffix(out, ".json")
    asked, terminal = runtime or [], console()
    rows = []
    with terminal.status("") as status:
        for row in run(bundle, asked, Settings.load().home):
            rows.append(row)
            status.update(f"{row.runtime} {row.graph}: {row.outcome}")
    print_table(terminal, rows)
    if out is not None:
        write_table(out, bundle, rows)
    require(rows, asked)


@tasks.command(rich_help_panel=TASKS)
def explore(
    bundle: BundleFolder,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to fill; with --single-file, an .html file to write.")
    ],
    single_file: Annotated[
        bool, typer.Option("--single-file", help="One file with everything inside, that needs no server.")
    ] = False,
) -> None:
    """Write a web page that runs the model in its visitor's browser."""
    from vae_pipeline.data.download import Finder
    from vae_pipeline.explorer.browser_runtime import fetch_runtime
    from vae_pipeline.explorer.page import PAGE, write_file, write_folder
    from vae_pipeline.files import require_writable
    from vae_pipeline.runtime import Bundle
    from vae_pipeline.settings import Settings
    from vae_pipeline.stages.download_display import showing_downloads

    settings = Settings.load()
    if single_file:
        _require_suffix(out, ".html")
    else:
        require_writable(out, bundle)
    model = Bundle.load(bundle)
    with showing_downloads(console()) as report:
        runtime = fetch_runtime(Finder(settings.home / "downloads", settings.mirror, report))
    if single_file:
        write_file(model, runtime, out)
        console().print(f"{model.manifest['recipe']}: a page that opens in a browser -> {out}")
    else:
        write_folder(model, runtime, out)
        console().print(
            f"{model.manifest['recipe']}: a page -> {out / PAGE}; to see it: python3 -m http.server --directory {out}"
        )


def console() -> "Console":
    """Standard output, without wrapping: what is printed may be piped."""
    from rich.console import Console

    return Console(soft_wrap=True, markup=False, highlight=False)


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
    console().print(f"{len(images)} images -> {out}")


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
    console().print(f"{out} written")


def _read_labels(path: Path | None) -> Any:
    from vae_pipeline.observations import read_array

    return None if path is None else read_array(path)
