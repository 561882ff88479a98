"""Denoisers of images and of speech beside those of scikit-image, BM3D, noisereduce and Wiener.

Needs VAE_MIRROR, a compiler for PESQ, and two hours; a figure is stored as soon as it is found. `--bundle NAME=FOLDER`
adds ours: NAME is a set of images, or `speech`.
"""

import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from benchmarks.store import Store
from benchmarks.tables.denoising import images, sound
from benchmarks.tables.denoising.page import page
from benchmarks.work import ROOT

PAGE = ROOT / "docs" / "denoisers.md"
__all__ = ["PAGE", "measure", "options", "page"]


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--set", action="append", choices=(*images.SETS, *sound.SETS))
    parser.add_argument("--method", action="append", choices=dict.fromkeys((*images.METHODS, *sound.METHODS)))
    parser.add_argument("--bundle", action="append", default=[], metavar="NAME=FOLDER", help="of ours")


def measure(given: Namespace, store: Store) -> None:
    bundles = {name: Path(folder) for name, _, folder in (each.partition("=") for each in given.bundle)}
    with tempfile.TemporaryDirectory() as folder:
        for kind, bench in (
            (sound, sound.Listening(store, Path(folder), bundles.get("speech"))),
            (images, images.Looking(store, Path(folder), bundles)),
        ):
            sets, methods = (
                [each for each in named if not wanted or each in wanted]
                for named, wanted in ((kind.SETS, given.set), (kind.METHODS, given.method))
            )
            bench.measure(sets, methods)
