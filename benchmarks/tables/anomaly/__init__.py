"""Detectors of anomalies beside PyOD's, on ten tables; then time and memory on large ones.

Needs VAE_MIRROR, and hours; a figure is stored as soon as it is found, so that a run that was stopped goes on.

One class: a random half of a table's normal rows is the training part; the rest of them, with every anomaly, is the
test part. Contaminated: a random half of all rows is the training part, anomalies among them. No row is resampled.
Every detector sees the same rows, in columns standardised by the training part, and is what its package ships; ours
has one recipe for all tables.
"""

import tempfile
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from benchmarks.models import MODELS
from benchmarks.store import Store
from benchmarks.tables.anomaly.page import page
from benchmarks.tables.anomaly.plan import DETECTORS, SOME
from benchmarks.tables.anomaly.running import Bench
from benchmarks.tables.anomaly.sets import npz, shipped
from benchmarks.work import ROOT
from vae_pipeline.system.files import content_key

PAGE = ROOT / "docs" / "anomaly.md"
__all__ = ["PAGE", "measure", "options", "page"]


def options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, help="a folder of .npz with X and y, instead of the ten sets; the page is printed"
    )
    parser.add_argument("--only", action="append", help="a set; or contaminated, speed or large")
    parser.add_argument("--detector", choices=(*DETECTORS, SOME), action="append")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=100_000, help="how many rows the section speed has")
    parser.add_argument("--again", action="store_true", help="find anew what is stored already")


def measure(given: Namespace, store: Store) -> None:
    tables = shipped()
    if given.folder is not None:
        MODELS.mkdir(exist_ok=True)
        store = Store(MODELS / f"anomaly-{content_key(str(given.folder.absolute()))[:16]}.json")
        tables = {path.stem: partial(npz, path) for path in sorted(given.folder.glob("*.npz"))}
    narrowed = given.folder is not None or given.detector is not None
    wanted = given.only or [*tables, "contaminated", *(() if narrowed else ("speed", "large"))]
    kinds = {"contaminated"} & {*wanted} | ({"detection"} if {*tables} & {*wanted} else set())
    chosen = {name: read for name, read in tables.items() if name in wanted} or tables
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(store, Path(folder), given.detector or (*DETECTORS, SOME), given.again)
        for kind in ("detection", "contaminated"):
            if kind in kinds:
                bench.detection(kind, chosen, given.seeds)
        if "speed" in wanted:
            bench.speed(given.rows)
        if "large" in wanted:
            bench.large(tables["11_donors"])
    if given.folder is not None:
        print(page(store.read()))
