"""The bundles of four recipes in nine runtimes, each graph beside the answers that were proved right.

Needs Node.js, Chromium, and the bundles of digits, images, tumours and sentences in exports/.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from benchmarks.environments import python
from benchmarks.store import Kept, Store
from benchmarks.work import ROOT
from vae_pipeline.bundles.conformance.runtimes import Runtime

PAGE = ROOT / "docs" / "runtimes.md"
RECIPES = ("digits", "images", "tumours", "sentences")  # none needs a download
Row = dict[str, Any]


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--exports", type=Path, default=ROOT / "exports", help="folder of bundles")


def measure(given: Namespace, store: Store) -> None:
    exports = given.exports.resolve()
    lacking = [recipe for recipe in RECIPES if not (exports / recipe / "bundle.json").is_file()]
    if lacking:
        commands = " ".join(f"export@{recipe}" for recipe in lacking)
        sys.exit(f"{exports} lacks {', '.join(lacking)}: run `dvc repro {commands}`")
    rows = {name: conform(exports / name) | {"model": described(exports / name)} for name in RECIPES}
    store.keep("bundles", rows)


def described(bundle: Path) -> str:
    """The model, and how long it was trained, in words."""
    manifest = json.loads((bundle / "bundle.json").read_text())
    weights, elbo = manifest["weights_sha256"][:12], manifest["metrics"]["elbo"]
    [epochs] = re.findall(r"Trained for up to ([\d,]+ (?:epochs|steps))", (bundle / "MODEL_CARD.md").read_text())
    return f"Format {manifest['format']}, weights {weights}, trained for {epochs} at most, ELBO {elbo:.2f} nats."


def conform(bundle: Path) -> Row:
    """The table that the command wrote, in the environment that holds the runtimes."""
    asked = [word for runtime in Runtime for word in ("--runtime", runtime)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "table.json"
        command = [python("runtimes"), "-m", "vae_pipeline", "conform", bundle, *asked, "--out", out]
        home = {"VAE_HOME": str(ROOT / ".vae"), "PYTHONPATH": str(ROOT / "src")}
        # Its exit code tells of failures, which the page is to show.
        subprocess.run(command, env=os.environ | home, check=False, stdout=sys.stderr)
        return dict(json.loads(out.read_text()))


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────


ABOUT = """# Other runtimes

Written by `make bench TABLE=runtimes`: every graph of four bundles, run by `vae-pipeline conform` at batches of 1 and 5
and compared with the golden answers, which are the model's own in torch: ids are to be the same. A difference is the
largest of all outputs, relative to 1 + |answer| (of a log-density to the number of its terms + |answer|), where pixels
are taken on [0, 1] and columns of a table in scaled units; that of `score` is given in nats too. A graph works if they
are 1e-4 at most, and in nats 1e-3 or relative 1e-5. Times are medians at batch 1 on one thread, of a machine that may
have been busy. `reference` is onnx's own evaluator, written for clarity; `onnxruntime-web` is WebAssembly in Node,
`chromium` the same in a headless browser.
"""
TITLES = ["| runtime | version | graphs that work | largest difference | in nats |", "|---|---|---:|---:|---:|"]


def page(kept: Kept) -> str:
    bundles = kept["bundles"]
    tables: dict[str, Row] = bundles["rows"]
    lines = [ABOUT, f"{bundles['date']}; {bundles['machine']}.", "", *TITLES]
    every = [row for table in tables.values() for row in table["rows"]]
    versions = {name: version for table in tables.values() for name, version in table["versions"].items()}
    for runtime in Runtime:
        rows = [row for row in every if row["runtime"] == runtime and row["graph"]]
        works = sum(row["outcome"] == "works" for row in rows)
        figures = f"{largest(rows, 'difference')} | {largest(rows, 'nats')}"
        lines.append(f"| {runtime} | {versions.get(runtime, '')} | {works} of {len(rows)} | {figures} |")
    for recipe, table in tables.items():
        lines += ["", f"## {recipe}", "", table["model"], ""]
        lines += section(table["rows"])
    return "\n".join([*lines, ""])


def section(rows: list[Row]) -> list[str]:
    """A line a runtime, a column a graph; below, why a cell isn't a figure."""
    graphs = list(dict.fromkeys(row["graph"] for row in rows if row["graph"]))
    lines = ["| | " + " | ".join(graphs) + " |", "|---|" + "---:|" * len(graphs)]
    for runtime in Runtime:
        found = {row["graph"]: row for row in rows if row["runtime"] == runtime}
        cells = [cell(found[graph]) if graph in found else "not installed" for graph in graphs]
        lines.append(f"| {runtime} | " + " | ".join(cells) + " |")
    reasons = [
        f"- {' '.join(filter(None, (row['runtime'], row['graph'])))} {row['outcome']}: {row['reason']}"
        for row in rows
        if row["reason"]
    ]
    return [*lines, "", *reasons] if reasons else lines


def cell(row: Row) -> str:
    if row["outcome"] == "fails":
        return "**fails**"
    nats = f" ({row['nats']:.1e} nat)" if row["nats"] is not None else ""
    figures = f"{row['difference']:.1e}{nats}, {row['latency_ms']:.2f} ms"
    return figures if row["outcome"] == "works" else f"**differs** {figures}"


def largest(rows: list[Row], key: str) -> str:
    found = [row[key] for row in rows if row[key] is not None]
    return f"{max(found):.1e}" if found else ""
