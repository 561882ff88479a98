"""Results of a sweep: its trials as rows, a table, pictures, and the best recipe as a file that `dvc repro` takes."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from vae_pipeline.evaluation import sweep_plot
from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.figures import Figure
from vae_pipeline.recipe.rewriting import rewritten
from vae_pipeline.stages.search import Search
from vae_pipeline.stages.study import ended, importances
from vae_pipeline.system.errors import OutputError
from vae_pipeline.system.files import replace_file, sha256_of
from vae_pipeline.system.reading import parse, yaml_of
from vae_pipeline.system.redaction import redacted


@dataclass(frozen=True)
class TrialRow:
    """A trial that has ended."""

    trial: int
    parameters: Mapping[str, Any]
    metric: float | None
    """The figure on the validation part; None where the trial didn't come to one."""
    state: str
    """complete, pruned, refused or failed."""
    seconds: float
    """Seconds in the process that ended it."""
    note: str
    """Why there is no figure."""

    def said(self, metric: str) -> str:
        """The outcome in a line."""
        values = ", ".join(f"{name} {_brief(value)}" for name, value in self.parameters.items())
        outcome = f"{self.state} ({self.note})" if self.metric is None else f"{metric} {self.metric:.4f}"
        return f"{values}: {outcome}, {self.seconds:.1f} s"


def row_of(trial: FrozenTrial) -> TrialRow:
    """The row of a trial that has ended."""
    attributes = trial.user_attrs
    metric = trial.value if trial.state == TrialState.COMPLETE else None
    state = attributes.get("outcome", trial.state.name.lower())
    return TrialRow(
        trial.number, trial.params, metric, state, attributes.get("seconds", 0.0), attributes.get("note", "")
    )


def write_results(out: Path, name: str, study: Study, figure: Figure) -> None:
    """Write trials.csv, history.png and parameters.png."""
    rows = [row_of(trial) for trial in ended(study)]
    text = io.StringIO()
    names = list(rows[0].parameters)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", *names, figure.key, "state", "seconds", "note"])
    for row in rows:
        values = [row.parameters[each] for each in names]
        writer.writerow([row.trial, *values, row.metric, row.state, row.seconds, row.note])
    replace_file(out / "trials.csv", text.getvalue().encode())
    shown, higher = [asdict(row) for row in rows], study.direction.name == "MAXIMIZE"
    sweep_plot.history(out / "history.png", name, shown, figure, higher)
    sweep_plot.parameters(out / "parameters.png", name, shown, figure, importances(study))


def require_free(study: Study, best: Path, recipe: Path, force: bool) -> None:
    """Find out before anything is trained whether the best recipe's file may be written.

    Raises:
        OutputError: it is the recipe itself, or a file that this sweep didn't write, or that was altered since.
    """
    if best.resolve() == recipe.resolve():
        raise OutputError(f"--best {best} is the recipe itself: name another file")
    if best.exists() and not force and (not best.is_file() or sha256_of(best) not in study.user_attrs["written"]):
        raise OutputError(f"{best} is there, and this sweep didn't write it: name another file with --best, or --force")


def write_best(study: Study, best: FrozenTrial, search: Search, figure: Figure) -> None:
    """Write the recipe of the best trial, complete, with where it came from.

    Raises:
        RecipeError: what would be written isn't a recipe; nothing is.
    """
    counts = len(ended(study))
    figures = f"{figure.name} {best.value:.4f}{f' {figure.unit}' if figure.unit else ''}"
    head = [
        f"The best of {counts} trials on the validation part: trial {best.number}, {figures}.",
        *(f"    {key}: {_brief(value)}" for key, value in best.params.items()),
        redacted(search.command),
        f"To train and evaluate it: add {search.best.stem} to the recipes of params.yaml, then `dvc repro`.",
    ]
    text = search.recipe.read_text(encoding="utf-8")
    content = rewritten(text, search.space.values(best.params), head).encode()
    parse(Recipe, yaml_of(content, search.best), search.best)
    study.set_user_attr("written", [*study.user_attrs["written"], hashlib.sha256(content).hexdigest()])
    replace_file(search.best, content)


def print_table(console: Console, rows: Sequence[TrialRow], metric: str) -> None:
    """Print all trials in their order; a parameter's column has the last word of its key, if that tells it apart."""
    shown = Table(box=box.SIMPLE_HEAD, title="On the validation part", title_justify="left", padding=(0, 1, 0, 0))
    keys = list(rows[0].parameters)
    words = [key.rpartition(".")[2] for key in keys]
    headings = words if len(set(words)) == len(words) else keys
    for heading in ("trial", *headings, metric, "state", "seconds"):
        shown.add_column(heading, justify="left" if heading == "state" else "right", overflow="fold")
    for row in rows:
        figure = "" if row.metric is None else f"{row.metric:.4f}"
        values = [_brief(row.parameters[key]) for key in keys]
        shown.add_row(str(row.trial), *values, figure, row.state, f"{row.seconds:.1f}")
    if not console.is_terminal:  # a pipe has no edge that would cut it
        console.width = max(
            console.width, Measurement.get(console, console.options.update(max_width=10_000), shown).maximum
        )
    console.print(shown)


def as_objects(rows: Sequence[TrialRow]) -> Iterator[str]:
    """Each trial as an object of JSON."""
    return (json.dumps(asdict(row)) for row in rows)


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())
