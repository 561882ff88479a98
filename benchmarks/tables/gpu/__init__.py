"""The engine on a GPU: steps captured, compiled and plain, share of its matrix rate, repetition to the bit.

Needs a CUDA device and eight minutes, and neither a network nor data: they are drawn. Each section begins only where
the minutes allow, and is stored once it is done. `--device cpu` tries the script on small networks, prints what it
finds and stores nothing.
"""

import json
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch

from benchmarks.store import Store
from benchmarks.tables.gpu.page import page
from benchmarks.tables.gpu.sections import SECTIONS
from benchmarks.tables.gpu.trial import Trial
from benchmarks.work import ROOT, Work

PAGE = ROOT / "docs" / "gpu.md"
__all__ = ["PAGE", "measure", "options", "page"]


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu")
    parser.add_argument("--minutes", type=float, default=7.5, help="no section begins later than this")
    parser.add_argument("--only", choices=[section.__name__ for section in SECTIONS], action="append")


def measure(given: Namespace, store: Store) -> None:
    began, device = time.monotonic(), torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit("this machine has no CUDA device; --device cpu tries the script without storing anything")
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Work(Path(folder)), device)
        for section in SECTIONS:
            if given.only and section.__name__ not in given.only:
                continue
            spent = time.monotonic() - began
            if spent > 60 * given.minutes:
                print(f"{section.__name__}: not begun, {spent:.0f} s are spent", file=sys.stderr)
                continue
            rows = section(trial)
            print(f"{section.__name__}, {time.monotonic() - began:.0f} s: {json.dumps(rows)}", file=sys.stderr)
            if trial.gpu:
                store.keep(section.__name__, rows)
    if not trial.gpu:
        raise SystemExit(0)  # no page is written of what isn't stored
