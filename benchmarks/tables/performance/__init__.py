"""Speed and memory beside a DataLoader script, Keras, JAX and pythae; what tracking costs, and size.

Needs VAE_MIRROR or a network, and an hour. Runs that are compared alternate inside one session, one thread each on one
core; medians, and the range from the lowest to the highest. Peers live in environments of their own. Ratios are of CPU
time; wall time stands beside it.
"""

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from benchmarks.store import Store
from benchmarks.tables.performance.page import page
from benchmarks.tables.performance.sections import SECTIONS
from benchmarks.work import ROOT, Work

PAGE = ROOT / "docs" / "performance.md"
__all__ = ["PAGE", "measure", "options", "page"]


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=[section.__name__ for section in SECTIONS], action="append")


def measure(given: Namespace, store: Store) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), given.rounds)
        for section in SECTIONS:
            if not given.only or section.__name__ in given.only:
                print(f"{section.__name__} ...", file=sys.stderr, flush=True)
                store.keep(section.__name__, section(work))
