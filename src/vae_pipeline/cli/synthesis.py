"""The command that makes a synthetic table of a table: a model is fitted, rows are drawn, and measured."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vae_pipeline.cli.options import BEGIN, Csv, Json, Kinds, Seed, pairs
from vae_pipeline.cli.output import console, require_suffix, say
from vae_pipeline.cli.rows import Balance, Check, OnlyValid, Where, found_in, tell

if TYPE_CHECKING:
    from vae_pipeline.kinds.table.drawing import Rules

synthesis = typer.Typer()

COMMAND_WORDS = (
    (r"take VAESynthesizer\(columns=\{'(.+?)': '(\w+)'\}\)", r"give --column '\1=\2'"),
    (r"VAESynthesizer\(csv=\{'(\w+)': \.\.\.\}\)", r"--csv \1=..."),
    (r"in VAESynthesizer\(columns=\.\.\.\)", "by --column NAME=KIND"),
    (r"make it NaN;", "leave it empty;"),
    (r"evaluate\.target is", "--target is"),
    (r" \(data\.columns says otherwise\)", " (--column NAME=KIND says otherwise)"),
    (r" \(data\.[\w.]+ says otherwise\)", ""),
    (r"train\.private\.(epsilon|delta)", r"--\1"),
)
"""Words of an estimator about its parameters, and those that the command has instead."""
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
    column: Kinds = None,
    csv: Csv = None,
    target: Annotated[
        str | None, typer.Option(help="A column that classifiers foretell: are the rows worth as much to train on?")
    ] = None,
    where: Where = None,
    balance: Balance = None,
    check: Check = None,
    only_valid: OnlyValid = False,
    epsilon: Annotated[
        float | None,
        typer.Option(help="Train privately: the most that may be learned of any one row. 1 is strict, 10 is loose."),
    ] = None,
    delta: Annotated[float, typer.Option(help="The probability that --epsilon doesn't hold.")] = 1e-5,
    bundle: Annotated[Path | None, typer.Option(help="Folder for the bundle that draws more of them.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Make a synthetic table: fit a model to a table, draw rows of it, and say how good they are."""
    from vae_pipeline.estimators.synthesizer import VAESynthesizer
    from vae_pipeline.recipe.figures import in_percent, shares
    from vae_pipeline.runtime.privacy_entry import OUTSIDE

    require_suffix(out, ".csv", ".parquet", as_json=as_json)
    terminal = console()
    synthesizer = VAESynthesizer(
        columns=pairs("--column", column, "NAME=KIND, such as zip=category") or None,
        csv=pairs("--csv", csv, "KEY=VALUE, such as encoding=cp1252") or None,
        target=target,
        epsilon=epsilon,
        delta=delta,
        random_state=seed,
        verbose=None if not as_json else False,
    )
    rules: Rules = {"where": where or (), "balance": balance, "checks": check or (), "only_valid": only_valid}
    with _in_words_of_the_command():
        if any(rules.values()):
            synthesizer.require_rules(data, **rules)
        synthesizer.fit(data)
    if not as_json:
        for line in synthesizer.told_:
            terminal.print(_said(line))
    figures = synthesizer.report()
    if bundle is not None:
        synthesizer.export(bundle)
    origin = {"of": data.name, "figures": figures}
    synthesizer.write(out, synthesizer.rows_ if count is None else count, seed, **rules, origin=origin)
    told = synthesizer.draws_
    if not as_json:
        for key, words, beside in SHOWN:
            if key in figures:
                form = in_percent if key in shares() else "{:.3g}".format
                real = "" if beside is None else f"  (real rows: {form(figures[beside])})"
                terminal.print(f"{words}: {form(figures[key])}{real}")
        if why := figures.get("left_out"):
            terminal.print(f"how good they are isn't known: {why['column_shapes']}")
        tell(told)
        if (privacy := synthesizer.trained_.privacy) is not None:
            terminal.print(f"{privacy.promise} {OUTSIDE}")
    say(out, told["rows"], "rows that nobody observed", as_json, found_in(told))


@contextmanager
def _in_words_of_the_command() -> Iterator[None]:
    """A block whose errors speak of the command's options, where an estimator has parameters."""
    from vae_pipeline.system.errors import InputError

    try:
        yield
    except InputError as error:
        raise InputError(_said(str(error))) from error


def _said(text: str) -> str:
    for pattern, instead in COMMAND_WORDS:
        text = re.sub(pattern, instead, text)
    return text
