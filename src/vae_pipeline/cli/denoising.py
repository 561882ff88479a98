"""The command that takes noise away: onnxruntime, and no torch."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vae_pipeline.cli.options import (
    TASKS,
    TIMEOUT_S,
    BundleFolder,
    Fit,
    Inputs,
    Json,
    Key,
    LabelFile,
    Tile,
    Timeout,
    read_labels,
    refuse_tiles,
    require_options,
    seen_spec,
)
from vae_pipeline.cli.output import image_spec, open_bundle, progress, require_suffix, say, write_arrays
from vae_pipeline.cli.recordings import denoise_recordings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vae_pipeline.kinds.observations import Observed
    from vae_pipeline.kinds.spec import ImageSpec
    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.runtime.denoising import Denoised

denoising = typer.Typer()


@denoising.command(rich_help_panel=TASKS)
def denoise(
    bundle: BundleFolder,
    inputs: Inputs,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="A folder (a .png or .wav for each input), .wav (one recording), .npy (values), .npz (values, and the "
            "ends of their intervals), or .png (one image, or inputs above answers); - writes .npy or .wav to a pipe.",
        ),
    ],
    intervals: Annotated[
        bool,
        typer.Option(
            "--intervals", help="Write the intervals' ends too: pictures and sound as NAME_low and NAME_high."
        ),
    ] = False,
    mix: Annotated[
        float, typer.Option(help="Share of what is clean in what is written; the rest is the input as it came.")
    ] = 1.0,
    key: Key = None,
    resize: Fit = "none",
    tile: Tile = None,
    labels: LabelFile = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Take noise, or other corruption, away from images or recordings; - reads a .wav from a pipe."""
    from vae_pipeline.kinds.observations import Examples
    from vae_pipeline.kinds.spec import AudioSpec
    from vae_pipeline.system.errors import DataError, OutputError

    in_folder = not out.suffix and str(out) != "-"
    model = open_bundle(bundle, timeout)
    if not isinstance(model.spec, AudioSpec):
        image_spec(model, "images or sound")
    if not in_folder:
        require_suffix(out, ".npy", ".npz", ".png", ".wav", as_json=as_json)
    if isinstance(model.spec, AudioSpec):
        if (key, resize, tile, labels) != (None, "none", None, None):
            raise DataError(f"{model.folder} is a model of sound: leave out --key, --resize, --tile and --labels")
        denoise_recordings(model, model.spec, inputs, out, intervals, mix, as_json)
        return
    spec = image_spec(model)
    if out.suffix.lower() == ".wav":
        raise OutputError(f"{out} has no place for images: name a folder, .npy, .npz or .png")
    if intervals and not in_folder and out.suffix.lower() != ".npz":
        raise OutputError(f"{out} has no place for --intervals: name a folder, or a file that ends in .npz")
    require_options(model, key, resize, labels, None)
    refuse_tiles(model, tile)
    classes = read_labels(labels)
    if model.manifest.denoising is None:
        said = "wasn't trained to denoise: its answer is the mean of some draws, and has no intervals"
        if intervals:
            raise DataError(f"{model.folder} {said}; leave out --intervals")
        sys.stderr.write(f"vae-pipeline: {model.folder} {said}\n")
    # Images may differ in size; scans are all brought to one.
    alone = in_folder and model.latent_map is not None and resize == "none" and spec.scans is None
    groups = [[path] for path in _pictures(inputs)] if alone else [inputs]
    answers = []
    for group in groups:
        seen = Examples(group, seen_spec(model, group, key, resize), key, resize).all()
        with progress(model, len(seen.x)):
            answers.append((seen, model.denoise(seen.x, classes, mix, tile)))
    if in_folder:
        count = _write_folder(out, answers, spec, intervals)
    else:
        ((seen, found),) = answers
        count = len(found.clean)
        _write_file(out, seen.x, found, spec, intervals, model)
    say(out, count, "images", as_json)


def _pictures(inputs: list[Path]) -> list[Path]:
    """The inputs, where a folder stands for its files."""
    return [
        file
        for path in inputs
        for file in (sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path])
    ]


def _write_file(
    out: Path, x: "npt.NDArray[np.generic]", found: "Denoised", spec: "ImageSpec", intervals: bool, model: "Bundle"
) -> None:
    from vae_pipeline.kinds.image.pictures import save_picture, to_pixels
    from vae_pipeline.kinds.image.sheets import save_pairs
    from vae_pipeline.system.errors import DataError

    if out.suffix.lower() == ".npz":
        if intervals and found.low is None:
            raise DataError(f"{model.folder} knows intervals of {list(spec.shape)} alone: leave out --intervals")
        ends = {"low": found.low, "high": found.high} if intervals else {}
        write_arrays(out, {"clean": found.clean, **ends})
    elif out.suffix.lower() == ".png" and len(x) > 1:
        save_pairs(out, x, found.clean, spec)
    elif out.suffix.lower() == ".png":
        save_picture(out, to_pixels(found.clean[0], spec.low, spec.high))
    else:
        write_arrays(out, found.clean)


def _write_folder(out: Path, answers: "list[tuple[Observed, Denoised]]", spec: "ImageSpec", intervals: bool) -> int:
    """Write each image under its file's name; an array's with its number."""
    from vae_pipeline.kinds.image.pictures import save_picture, to_pixels
    from vae_pipeline.system.errors import DataError
    from vae_pipeline.system.files import filled_folder

    names: set[str] = set()
    with filled_folder(out) as folder:
        for seen, found in answers:
            ends = {"_low": found.low, "_high": found.high} if intervals else {}
            for index, (file, row) in enumerate(zip(seen.files, seen.rows.tolist(), strict=True)):
                name = Path(file).stem + (f"_{row}" if seen.files.count(file) > 1 else "")
                if name in names:
                    raise DataError(f"two inputs have the name {name}: denoise them into folders of their own")
                names.add(name)
                for suffix, values in {"": found.clean, **ends}.items():
                    if values is None:
                        raise DataError(f"{file}: intervals are of images of {list(spec.shape)} alone: leave them out")
                    save_picture(folder / f"{name}{suffix}.png", to_pixels(values[index], spec.low, spec.high))
    return len(names)
