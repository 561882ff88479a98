"""Rows as a table for the terminal, and as a file."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vae_pipeline.bundles.conformance.compare import Row
from vae_pipeline.bundles.conformance.installed import version
from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.system.files import write_json

STYLES = {"works": "green", "differs": "red", "fails": "red", "not installed": "yellow"}


def print_table(console: Console, rows: Sequence[Row]) -> None:
    """A line for each graph and runtime; below, the reasons of those that don't work."""
    table = Table(
        box=box.SIMPLE_HEAD,
        title="Largest difference from the golden answers (relative, and in nats); median time at batch 1",
        title_justify="left",
        padding=(0, 1, 0, 0),
    )
    for column in ("runtime", "graph", "", "difference", "nats", "ms"):
        table.add_column(column, justify="right" if column in ("difference", "nats", "ms") else "left", no_wrap=True)
    before = ""
    for row in rows:
        name = row.runtime if row.runtime != before else ""
        figures = [
            "" if value is None else format(value, form)
            for value, form in ((row.difference, ".1e"), (row.nats, ".1e"), (row.latency_ms, ".3f"))
        ]
        table.add_row(name, row.graph, Text(row.outcome, STYLES[row.outcome]), *figures)
        before = row.runtime
    console.print()
    console.print(table)
    for row in rows:
        if row.reason:
            console.print(f"{' '.join(filter(None, (row.runtime, row.graph)))} {row.outcome}: {row.reason}")


def write_table(out: Path, bundle: Path, rows: Sequence[Row]) -> None:
    """The rows, the versions of what ran, and which model it was."""
    manifest = Manifest.load(bundle)
    ran = dict.fromkeys(row.runtime for row in rows if row.outcome != "not installed")
    write_json(out, {
        **{key: getattr(manifest, key) for key in ("recipe", "weights_sha256", "producer")},
        "versions": {runtime: version(runtime) for runtime in ran},
        "rows": [row.to_dict() for row in rows],
    })  # fmt: skip
