"""The table that `make run` ends with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from vae_pipeline.system.errors import DataError
from vae_pipeline.system.seal import unsealed
from vae_pipeline.system.typed_json import read_json

COLUMNS = ("ELBO", "distortion", "rate", "bound", "k̂>0.7", "active", "PSNR", "AUROC")
LEFT_OUT_FIRST = ("distortion", "PSNR", "active", "rate")  # where the terminal is too narrow for all


def print_summary(console: Console, reports: Path, exports: Path) -> None:
    """Headline figures of every report, and where pictures and bundles are.

    Raises:
        DataError: there is no report.
    """
    found = {path.parent.name: _read(path) for path in sorted(reports.glob("*/metrics.json"))}
    if not found:
        raise DataError(f"{reports} holds no report: run `dvc repro` first")
    shown = [column for column in COLUMNS if any(figures[column] for figures in found.values())]
    table = _table(found, shown)
    if not console.is_terminal:
        console.width = max(console.width, _width(console, table))  # a pipe has no edge that would cut it
    for column in LEFT_OUT_FIRST:
        if column in shown and _width(console, table) > console.width:
            shown.remove(column)
            table = _table(found, shown)
    console.print()
    console.print(table)
    for name, figures in found.items():
        if figures["gates"]:
            console.print(f"gates not kept  {name}: {figures['gates']}", style="red")
    for name in found:
        console.print(f"report       {reports / name / 'index.html'}")
        if (exports / name / "bundle.json").is_file():
            console.print(f"ONNX bundle  {exports / name}")
    console.print("MLflow's UI  make ui")


def _table(found: Mapping[str, Mapping[str, str]], shown: Sequence[str]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title="On the test part, nats an example; bound is the importance bound",
        title_justify="left",
        padding=(0, 1, 0, 0),
    )
    for column in ("recipe", *shown):
        table.add_column(column, justify="left" if column == "recipe" else "right", no_wrap=True)
    for name, figures in found.items():
        table.add_row(name, *(figures[column] for column in shown))
    return table


def _width(console: Console, table: Table) -> int:
    """The columns of a terminal that the table takes where nothing of it is cut."""
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _read(path: Path) -> dict[str, str]:
    try:
        figures = _figures(read_json(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} isn't what `vae-pipeline eval` wrote ({error!r}): run it again") from error
    unsealed(path.parent, "eval", ["metrics.json"])
    return figures


def _figures(metrics: dict[str, Any]) -> dict[str, str]:
    error = metrics["importance_bound_standard_error"]
    spread = f" ± {error:.2f}" if error is not None else ""
    values = (
        f"{metrics['elbo']:.2f}",
        f"{metrics['distortion']:.2f}",
        f"{metrics['rate']:.2f}",
        f"{metrics['importance_bound']:.2f}{spread}",
        f"{metrics['pareto_k_over_0.7']:.0%}" if "pareto_k_over_0.7" in metrics else "",
        f"{metrics['active_units']}/{metrics['latents']}",
        f"{metrics['psnr']:.1f} dB" if "psnr" in metrics else "",
        f"{metrics['auroc']:.3f}" if "auroc" in metrics else "",
    )
    return {**dict(zip(COLUMNS, values, strict=True)), "gates": ", ".join(metrics["failed_gates"])}
