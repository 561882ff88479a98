"""Bounds, new images and controlled rates of the models, beside published figures and pythae.

Needs VAE_MIRROR or a network, and two to three hours; a run that was stopped goes on. Every figure is of models trained
here by `vae-pipeline train`, as their recipes are shipped, unless a section says otherwise.
"""

import os
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from benchmarks.models import HOME
from benchmarks.store import Store
from benchmarks.tables.quality.page import page
from benchmarks.tables.quality.sections import SECTIONS
from benchmarks.work import ROOT, Work

PAGE = ROOT / "docs" / "quality.md"
__all__ = ["PAGE", "measure", "options", "page"]


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--only", choices=[section.__name__ for section in SECTIONS], action="append")


def measure(given: Namespace, store: Store) -> None:
    os.environ["VAE_HOME"] = str(HOME)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder))
        for section in SECTIONS:
            if not given.only or section.__name__ in given.only:
                print(f"{section.__name__} ...", file=sys.stderr, flush=True)
                rows = {}
                for name, row in section(work):
                    rows[name] = row
                    store.keep(section.__name__, rows)
