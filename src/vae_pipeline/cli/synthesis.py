"""The command that makes a synthetic table of a table: a model is fitted, rows are drawn, and measured."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vae_pipeline.cli.options import BEGIN, Json, Seed
from vae_pipeline.cli.output import console, require_suffix, say

if TYPE_CHECKING:
    import pandas as pd

    from vae_pipeline.estimators.synthesizer import VAESynthesizer

synthesis = typer.Typer()

AT_ONCE = 100_000
"""Rows that are drawn at a time."""
SHOWN = (
    ("column_shapes", "column shapes", "column_shapes_of_test"),
    ("pair_trends", "column pairs", "pair_trends_of_test"),
    ("rows_auc", "AUC of boosted trees that tell them from real rows", "rows_auc_of_test"),
    ("copies", "copies of real rows", "copies_of_test"),
    ("nearer_to_training", "nearest row is one that was trained on, not one held out", None),
    ("membership_auc", "AUC of telling who was trained on", None),
    ("disclosure", "values of trained rows that are guessed from all others", "disclosure_of_test"),
    ("tstr_accuracy", "accuracy of classifiers that were trained on them", "tstr_of_train_accuracy"),
    ("tstr_f1", "F1 of these", "tstr_of_train_f1"),
    ("tstr_r2", "R² of models that were trained on them", "tstr_of_train_r2"),
)
"""Figures in words, and those that real rows have in their place."""


@synthesis.command(rich_help_panel=BEGIN)
def synthesize(
    data: Annotated[Path, typer.Argument(help="A table: .csv and its like, .parquet, .jsonl.", metavar="DATA")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File of new rows, .csv or .parquet.")],
    count: Annotated[
        int | None, typer.Option("--count", "-n", help="How many. [default: as many as the data have]", min=1)
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="What a column is where its values don't tell: number, boolean, category, date, ignored.",
            metavar="NAME=KIND",
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="A column that classifiers foretell: are the rows worth as much to train on?")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Folder for the bundle that draws more of them.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Make a synthetic table: fit a model to a table, draw rows of it, and say how good they are."""
    from vae_pipeline.estimators.synthesizer import VAESynthesizer
    from vae_pipeline.kinds.spec import TableSpec
    from vae_pipeline.kinds.table.synthetic_files import write_synthetic
    from vae_pipeline.system.version import __version__

    require_suffix(out, ".csv", ".parquet", as_json=as_json)
    terminal = console()
    synthesizer = VAESynthesizer(
        columns=_columns(column or []), target=target, random_state=seed, verbose=None if not as_json else False
    )
    synthesizer.fit(data)
    figures, made = synthesizer.report(), synthesizer.trained_
    rows = synthesizer.rows_ if count is None else count
    origin = {
        "producer": f"vae-pipeline {__version__}",
        "of": data.name,
        "weights_sha256": made.weights_sha256,
        "seed": seed,
        "figures": figures,
    }
    spec = made.spec
    assert isinstance(spec, TableSpec)  # a VAESynthesizer takes nothing else
    written = write_synthetic(out, _pieces(synthesizer, rows, seed), spec.columns, origin)
    if bundle is not None:
        synthesizer.export(bundle)
    if not as_json:
        for key, words, beside in SHOWN:
            if key in figures:
                real = "" if beside is None else f"  (real rows: {figures[beside]:.3g})"
                terminal.print(f"{words}: {figures[key]:.3g}{real}")
    say(out, written, "rows that nobody observed", as_json)


def _pieces(synthesizer: "VAESynthesizer", rows: int, seed: int) -> "Iterator[pd.DataFrame]":
    """New rows, some at a time; each piece has a seed of its own."""
    from vae_pipeline.numerics.randomness import derive

    for start in range(0, rows, AT_ONCE):
        size = min(AT_ONCE, rows - start)
        yield synthesizer.sample(size, seed if start == 0 else derive(seed, "piece", start))


def _columns(told: list[str]) -> dict[str, str] | None:
    from vae_pipeline.system.errors import DataError

    found = dict(part.partition("=")[::2] for part in told)
    for name, kind in found.items():
        if not name or not kind:
            raise DataError(f"--column {name or kind!r} was given; wanted NAME=KIND, such as zip=category")
    return found or None
