"""The map of latents of `photos_f4` as a code of photographs, with JPEG at as many bits; tiles; the latents' scale.

Needs VAE_MIRROR, a folder that holds train400.tar, bsd68.tar and set12.tar. Trains the recipe, or takes a bundle that
`--bundle` names.

A draw of q(z|x) can be sent in about KL(q || p) bits, so that the rate is told beside the error of a draw and not of
the mean. A code that can be written down rounds the mean to steps, and spends on each the logarithm of its frequency
among the training tiles. Steps are multiples of the posterior's deviation, chosen on the validation tiles by what the
model was trained for: nats + error / (2 x the error of a draw).
"""

import io
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from benchmarks.models import HOME, evaluated, kept_at, spent, trained
from benchmarks.store import Store
from benchmarks.tables.photos.code import Array, Rounding, Row, code, drawn, means, rate
from benchmarks.tables.photos.page import page
from benchmarks.work import CLI, ROOT, SINGLE, Work
from vae_pipeline.kinds.image.decoding import read_whole
from vae_pipeline.kinds.image.spec import LEVELS
from vae_pipeline.kinds.listing import list_pictures
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.inference import Encoding

PAGE = ROOT / "docs" / "photos.md"
PICTURE = ROOT / "docs" / "images" / "photos.png"
NAME, SETS, SHOWN = "photos_f4", {"Set12": "set12.tar", "BSD68": "bsd68.tar"}, 1
TILE = 128
__all__ = ["PAGE", "measure", "options", "page"]


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, help="measure this bundle, and train none")
    parser.add_argument("--trained", default="", help="how that bundle was trained, for the page")


def measure(given: Namespace, store: Store) -> None:
    os.environ["VAE_HOME"] = str(HOME)
    mirror = Path(os.environ["VAE_MIRROR"])
    sets = {name: photographs(next(mirror.rglob(file))) for name, file in SETS.items()}
    with TemporaryDirectory() as folder:
        work = Work(Path(folder))
        recipe = work.recipe(NAME, {"data.train": str(next(mirror.rglob("train400.tar")))})
        data = Path(folder) / "data"
        spent([*CLI, "prepare", recipe, "--out", data])
        prepared = Prepared.open(data)
        bundle, told = (given.bundle, given.trained) if given.bundle else exported(recipe, data)
        model = Bundle.load(bundle)
        parts = {"training tiles": prepared.train, "validation tiles": prepared.valid, "test tiles": prepared.test}
        tiles = {name: np.asarray(part.x[np.arange(len(part))]) for name, part in parts.items()}
    store.keep("model", {"told": told})
    found = {name: model.encode_map(x) for name, x in tiles.items()}
    store.keep("tiles", in_tiles(model, next(x for x in sets["BSD68"] if x.shape[2:] == (321, 481))))
    store.keep("scale", {name: spread(model, each) for name, each in found.items()})
    rounding = Rounding(model, found["training tiles"], tiles["validation tiles"])
    store.keep("rounding", rounding.told)
    picture(model, sets["Set12"][SHOWN])
    for name, images in sets.items():
        store.keep(name, means([code(model, rounding, x) for x in images]))


def exported(recipe: Path, data: Path) -> tuple[Path, str]:
    """The recipe's bundle, and what its training took; kept."""
    model, took = trained(recipe, data, SINGLE)
    report, _ = evaluated(recipe, data, model)
    bundle = kept_at(recipe, "bundle", model.name)
    if not bundle.is_dir():
        given = ["--data", data, "--model", model, "--report", report, "--out", bundle]
        spent([*CLI, "export", recipe, *given])
    return bundle, f"The recipe as it is; {took['cpu'] / 60:.0f} minutes of one core."


def photographs(archive: Path) -> list[Array]:
    """Grey photographs [1, 1, height, width] of a .tar, in the order of their names."""
    pictures = list_pictures(archive)
    return [read_whole(pictures.read(name), name, 1, LEVELS)[None] for name in sorted(pictures.names)]


def in_tiles(model: Bundle, x: Array) -> Row:
    """The largest difference that tiles make to a photograph, its values from 0 to 1, and to its map."""
    whole, tiled = model.reconstruct(x), model.reconstruct(x, tile=TILE)
    maps = model.encode_map(x).mean - model.encode_map(x, tile=TILE).mean
    return {
        "width": x.shape[3],
        "height": x.shape[2],
        "tile": TILE,
        "image": float(np.abs(whole - tiled).max()) / 255,
        "map": float(np.abs(maps).max()),
    }


def spread(model: Bundle, found: Encoding) -> Row:
    """Mean and deviation of draws, each channel scaled as the bundle says, and of all together by its one factor."""
    told, z = model.latent_map, np.moveaxis(np.float64(drawn(found)), 1, 0)
    scaled = (z.reshape(told.channels, -1) - np.array(told.mean)[:, None]) / np.array(told.deviation)[:, None]
    return {
        "mean": scaled.mean(1).tolist(),
        "deviation": scaled.std(1).tolist(),
        "together": float(z.std() * told.scale_factor),
    }


def picture(model: Bundle, x: Array) -> None:
    """A photograph, its draw, and JPEG's file at most as large, side by side."""
    found = model.encode_map(x)
    ours = np.rint(model.decode_map(drawn(found))[0, 0, : x.shape[2], : x.shape[3]]).clip(0, 255).astype(np.uint8)
    theirs = None
    for quality in range(1, 96):
        written = io.BytesIO()
        Image.fromarray(x[0, 0]).save(written, "JPEG", quality=quality, optimize=True)
        if theirs is not None and 8 * written.tell() > rate(found):
            break
        theirs = np.asarray(Image.open(written))
    assert theirs is not None
    Image.fromarray(np.concatenate([x[0, 0], ours, theirs], 1)).save(PICTURE, optimize=True)
