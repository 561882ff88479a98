"""The command that finds where pictures larger than a model's images are unusual: onnxruntime, and no torch."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vae_pipeline.cli.options import TASKS, TIMEOUT_S, BundleFolder, Json, Label, Timeout
from vae_pipeline.cli.output import image_spec, open_bundle, require_suffix, say, write_table
from vae_pipeline.system.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from vae_pipeline.kinds.image.whole import WholePicture
    from vae_pipeline.kinds.spec import ImageSpec
    from vae_pipeline.runtime.bundle import Bundle
    from vae_pipeline.runtime.patches import Inspection

inspecting = typer.Typer()


@inspecting.command(rich_help_panel=TASKS)
def inspect(
    bundle: BundleFolder,
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Pictures of any size, folders or archives of them.", metavar="PICTURE..."),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help=".csv or .parquet; printed if not given.")] = None,
    heat_maps: Annotated[
        Path | None,
        typer.Option(help="A folder of a .png a picture: it, and beside it where it is unusual.", metavar="FOLDER"),
    ] = None,
    normal: Annotated[
        list[Path] | None,
        typer.Option(
            help="Flawless pictures that weren't trained on, among whose scores p-values are; again for more. "
            "[default: the calibration's tiles, by which a picture of many can't be told]",
            metavar="PICTURE",
        ),
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(help="Pixels that neighbouring tiles share. [default: half a tile]", min=0)
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Add a column `alarm`, false at this rate at most among normal pictures.")
    ] = None,
    label: Label = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Find where pictures larger than the model's images are unusual: judge them in tiles. Deterministic."""
    import pandas as pd

    from vae_pipeline.kinds.image.whole import whole_pictures

    if out is not None:
        require_suffix(out, ".csv", ".parquet", as_json=as_json)
    if heat_maps is not None and heat_maps.suffix:
        raise DataError(f"--heat-maps {heat_maps} was given: name a folder, which gets a .png for each picture")
    model = open_bundle(bundle, timeout)
    spec = image_spec(model)
    pictures = list(whole_pictures(inputs, spec))
    if heat_maps is not None:
        _require_places(pictures)
    flawless: list[float] | None = None
    if normal is not None:
        unspoilt = list(whole_pictures(normal, spec))
        _require(alpha, len(unspoilt))
        flawless = [_judged(model, each, each.read(), overlap, label).score for each in unspoilt]
    rows: list[dict[str, Any]] = []
    seen: list[tuple[PurePosixPath, Any, Any]] = []
    for each in pictures:
        picture = each.read()
        found = _judged(model, each, picture, overlap, label, alpha if flawless is None else None)
        p_value = found.p_value if flawless is None else _share(found.score, flawless)
        top, left = found.corners[found.hottest]
        row = {"file": each.name, "tiles": len(found.scores), "top": top, "left": left}
        row |= {model.detector.score: found.score, "p_value": p_value}
        rows.append(row if alpha is None else {**row, "alarm": p_value <= alpha})
        if heat_maps is not None:
            seen.append((each.place.with_suffix(".png"), picture, found.heat_map))
    if heat_maps is not None:
        _save(heat_maps, seen, spec)
        if not as_json:
            say(heat_maps, len(seen), "heat maps", as_json)
    write_table(pd.DataFrame(rows), out, "pictures", as_json)


def _judged(
    model: "Bundle",
    of: "WholePicture",
    picture: "npt.NDArray[Any]",
    overlap: int | None,
    label: str | None,
    alpha: float | None = None,
) -> "Inspection":
    """The judgement of a picture; an error names it."""
    from vae_pipeline.runtime.patches import inspect as judge

    try:
        found = judge(model, picture, overlap, label)
        if alpha is not None:
            found.require(alpha, model.detector)
    except DataError as error:
        raise DataError(f"{of.name}: {error}") from error
    return found


def _share(score: float, normal: list[float]) -> float:
    """The share of flawless pictures that are at least as anomalous, the new one counted among them."""
    return (1 + sum(each >= score for each in normal)) / (1 + len(normal))


def _require(alpha: float | None, count: int) -> None:
    least = 1 / (count + 1)
    if alpha is not None and not least <= alpha < 1:
        raise DataError(
            f"alpha {alpha:g} was given; {count} flawless pictures tell false-alarm rates from {least:.2g} to 1: give "
            "more of them as --normal"
        )


def _require_places(pictures: "list[WholePicture]") -> None:
    """Refuse pictures whose heat maps would have one name.

    Raises:
        DataError: there are such.
    """
    by_place: dict[PurePosixPath, str] = {}
    for each in pictures:
        place = each.place.with_suffix(".png")
        if place in by_place:
            raise DataError(
                f"{by_place[place]} and {each.name} would both have the heat map {place}: give them one at a time, or "
                "the folder that holds both"
            )
        by_place[place] = each.name


def _save(out: Path, seen: "list[tuple[PurePosixPath, npt.NDArray[Any], npt.NDArray[Any]]]", spec: "ImageSpec") -> None:
    """Write each picture beside its heat map; white is what the hottest of a thousand pixels of all of them has."""
    import numpy as np

    from vae_pipeline.kinds.image.pictures import save_sheet, to_pixels
    from vae_pipeline.system.files import filled_folder

    bright = float(np.quantile(np.concatenate([heat.ravel() for *_, heat in seen]), 0.999)) or 1.0
    with filled_folder(out) as folder:
        for place, picture, heat in seen:
            hot = np.broadcast_to(to_pixels(heat, 0.0, bright), picture.shape)
            save_sheet(folder / place, np.stack([to_pixels(picture, spec.low, spec.high), hot]), 2)
