"""The table that `make run` ends with, on a terminal or as Markdown for a pull request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from vae_pipeline.recipe.figures import SummaryColumn, columns
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.seal import unsealed
from vae_pipeline.system.typed_json import read_json

PICTURES = ("samples.png", "reconstructions.png", "scores.png", "curves.png")


def print_summary(console: Console, reports: Path, exports: Path) -> None:
    """Headline figures of every report, and where pictures and bundles are.

    Raises:
        DataError: there is no report.
    """
    found, shown = _found(reports)
    table = _table(found, shown)
    if not console.is_interactive:
        console.width = max(console.width, _width(console, table))  # a pipe has no edge that would cut it
    for key, column in sorted(shown.items(), key=lambda item: -item[1].dispensable):
        if column.dispensable and _width(console, table) > console.width:
            del shown[key]
            table = _table(found, shown)
    console.print()
    console.print(table)
    for name, figures in found.items():
        if figures["failed_gates"]:
            console.print(f"gates not kept  {name}: {figures['failed_gates']}", style="red")
    for name in found:
        console.print(f"report       {reports / name / 'index.html'}")
        if (exports / name / "bundle.json").is_file():
            console.print(f"ONNX bundle  {exports / name}")
    console.print("MLflow's UI  make ui")


def summary_in_markdown(reports: Path, exports: Path, pictures: str | None) -> str:
    """The same table in Markdown, with gates, parity and, if it is known under which URL `reports` lies, pictures.

    Raises:
        DataError: there is no report.
    """
    found, shown = _found(reports)
    heads = ["recipe", *(column.title for column in shown.values()), "largest difference of a graph", "gates"]
    rows = []
    for name, figures in found.items():
        failed = figures["failed_gates"]
        cells = [name, *(figures[key] for key in shown), _parity(exports / name), failed or "kept"]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", *rows, "", "On the test part, in nats an example."]
    for name in found if pictures is not None else ():
        drawn = [each for each in PICTURES if (reports / name / "plots" / each).is_file()]
        lines += ["", *(f"![{name}: {each}]({pictures}/{quote(name)}/plots/{each})" for each in drawn)]
    return "\n".join([*lines, ""])


def _parity(bundle: Path) -> str:
    """The largest difference of a graph from the model; nothing where there is no bundle."""
    if not (bundle / "parity.json").is_file():
        return ""
    try:
        return f"{max(row['relative'] for row in read_json(bundle / 'parity.json')['agreement']):.1e}"
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{bundle}/parity.json isn't what `vae-pipeline export` wrote ({error!r}): run it again"
        ) from error


def _found(reports: Path) -> tuple[dict[str, dict[str, str]], dict[str, SummaryColumn]]:
    """Figures of each recipe as texts, and the columns that some recipe has."""
    found = {path.parent.name: _read(path) for path in sorted(reports.glob("*/metrics.json"))}
    if not found:
        raise DataError(f"{reports} holds no report: run `dvc repro` first")
    return found, {key: column for key, column in columns().items() if any(figures[key] for figures in found.values())}


def _table(found: Mapping[str, Mapping[str, str]], shown: Mapping[str, SummaryColumn]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title="On the test part, nats an example; bound is the importance bound",
        title_justify="left",
        padding=(0, 1, 0, 0),
    )
    table.add_column("recipe", no_wrap=True)
    for column in shown.values():
        table.add_column(column.title, justify="right", no_wrap=True)
    for name, figures in found.items():
        table.add_row(name, *(figures[key] for key in shown))
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
    """The cell of each column, empty where it wasn't measured; and the gates that aren't kept."""
    failed = {"failed_gates": ", ".join(metrics["failed_gates"])}
    return failed | {key: _cell(key, column, metrics) for key, column in columns().items()}


def _cell(key: str, column: SummaryColumn, metrics: Mapping[str, Any]) -> str:
    values = [metrics.get(key), metrics.get(f"{key}_standard_error") if column.error else None]
    return " ± ".join(column.form.format(value, **metrics) for value in values if value is not None)
