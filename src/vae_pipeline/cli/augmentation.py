"""The command that makes new labelled images of an exported bundle, as files that say so."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vae_pipeline.cli.options import (
    TASKS,
    TIMEOUT_S,
    BundleFolder,
    Fit,
    Json,
    Key,
    Seed,
    Timeout,
)
from vae_pipeline.cli.output import image_spec, open_bundle, origin_of, progress, say

if TYPE_CHECKING:
    from vae_pipeline.kinds.spec import ImageSpec
    from vae_pipeline.runtime.augmentation import How, NewImages, Sources
    from vae_pipeline.runtime.bundle import Bundle

augmentation = typer.Typer()
VALUES = 2**22  # made at a time
GRAPHS = {"prior": 1, "posterior": 2, "interpolation": 3}
"""Rows that graphs compute for each image."""


@augmentation.command(rich_help_panel=TASKS)
def augment(
    bundle: BundleFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the images and their manifest.")],
    count: Annotated[int, typer.Option("--count", "-n", help="How many.", min=1)],
    label: Annotated[
        str | None, typer.Option(help="Class of all of them, by name or number, which a conditional model needs.")
    ] = None,
    how: Annotated[
        Literal["prior", "posterior", "interpolation"],
        typer.Option(help="Draws of the sampler; around given images; or between two given ones of one class."),
    ] = "prior",
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Images to begin with: a folder that `prepare` filled, whose training images of the class are taken, "
            "or files and folders of images that are all of the class. Again for more.",
        ),
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option(help="Of posterior: standard deviations by which draws lie around an image. [default: 1]", min=0),
    ] = None,
    form: Annotated[
        Literal["png", "npz", "dicom"], typer.Option("--format", help="Files to write; dicom needs pydicom.")
    ] = "png",
    seed: Seed = 0,
    key: Key = None,
    resize: Fit = "none",
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make new images of a class, as files that say that nobody took them, with a manifest."""
    import json

    from vae_pipeline.kinds.image.synthetic_files import require_form, write_synthetic_images
    from vae_pipeline.runtime.augmentation import NewImages
    from vae_pipeline.system.errors import DataError
    from vae_pipeline.system.files import filled_folder

    model = open_bundle(bundle, timeout)
    spec = image_spec(model)
    require_form(form, spec)
    _require_free(out, model, data or [])
    if spread is not None and how != "posterior":
        raise DataError(f"--spread {spread:g} is of --how posterior, and {how} draws around no image: leave it out")
    numbers = model.numbers_of(label, 1)
    number = None if numbers is None else int(numbers[0])
    stream = NewImages(
        model, how, seed, number, _sources(model, how, data or [], key, resize), 1.0 if spread is None else spread
    )
    origin = _origin(stream, seed)
    with filled_folder(out) as folder, progress(model, GRAPHS[how] * count):
        write_synthetic_images(folder, _pieces(stream, count, spec), count, spec, form, origin)
    told = {**origin, "label": number, "class": None if number is None else model.classes[number]}
    say(out, count, "synthetic images", as_json, [json.dumps(told)])


def _require_free(out: Path, model: "Bundle", data: list[Path]) -> None:
    """Refuse a folder that is there already, whatever it holds: images of two commands are never mixed or replaced.

    Raises:
        OutputError: it is, or can't be written, or overlaps what is read.
    """
    from vae_pipeline.system.errors import OutputError
    from vae_pipeline.system.files import require_writable

    if out.suffix.lower() in (".png", ".npz", ".dcm"):
        raise OutputError(f"{out} is a file's name, and a folder is to be filled: name one, such as {out.stem}")
    if out.is_dir() and any(out.iterdir()):
        raise OutputError(f"{out} is there and isn't empty: name a folder that isn't there, or move it away")
    require_writable(out, model.folder, *data)


def _sources(model: "Bundle", how: "How", data: list[Path], key: str | None, resize: Any) -> "Sources | None":
    """The images to begin with, and their classes where these are known.

    Raises:
        DataError: there are none, or some where none are taken; or they aren't like those of the model.
    """
    from vae_pipeline.runtime.augmentation import Sources
    from vae_pipeline.system.errors import DataError

    if how == "prior":
        if data:
            raise DataError("--data is of --how posterior and interpolation: prior begins with no image, leave it out")
        return None
    if not data:
        raise DataError(f"--how {how} begins with images: name them with --data")
    if not (len(data) == 1 and (data[0] / "spec.json").is_file()):
        import hashlib

        import numpy as np

        from vae_pipeline.kinds.observations import read_observations

        x = read_observations(data, model.spec, key, resize)
        return Sources(x, sha256=hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest())
    from vae_pipeline.kinds.store import Prepared

    prepared = Prepared.open(data[0])
    known, given = ((each.event_shape, each.dtype, each.classes) for each in (model.spec, prepared.spec))
    if known != given:
        raise DataError(
            f"{data[0]} holds data of shape {list(given[0])}, {given[1]}, classes {', '.join(given[2]) or 'none'}; "
            f"{model.folder} is a model of shape {list(known[0])}, {known[1]}, classes {', '.join(known[2]) or 'none'}"
        )
    return Sources(prepared.train.x, prepared.train.labels, prepared.digest())


def _pieces(stream: "NewImages", count: int, spec: "ImageSpec") -> Iterator[tuple[Any, dict[str, Any]]]:
    """The images, some at a time, with what is known of each."""
    size = max(1, VALUES // spec.dimensions)
    for start in range(0, count, size):
        made = stream(min(size, count - start))
        told = {"label": made.labels, "source": made.source, "other": made.other, "place": made.place}
        yield made.x, {name: values for name, values in told.items() if values is not None}


def _origin(stream: "NewImages", seed: int) -> dict[str, Any]:
    """The origin of all images."""
    sources = stream.sources
    return {
        **origin_of(stream.of),
        "how": stream.how,
        "seed": seed,
        **({"spread": stream.spread} if stream.how == "posterior" else {}),
        **({} if sources is None else {"sources": len(sources.x), "sources_sha256": sources.sha256}),
    }
