"""Rows that a table's model draws: the options by which they are chosen, and what is told of them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vae_pipeline.cli.output import LONG, console

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Where = Annotated[
    list[str] | None,
    typer.Option(
        help="Of a table: a condition that each row meets, such as 'age>=60', 'job in a,b' or 'job is missing'; again "
        "for more.",
        metavar="RULE",
    ),
]
Balance = Annotated[
    str | None,
    typer.Option(help="Of a table: a column each of whose classes comes as often as the others.", metavar="COLUMN"),
]
Check = Annotated[
    list[str] | None,
    typer.Option(
        help="Of a table: a rule, such as 'start <= end', 'total = net + tax' or 'unique(id)'; rows that break it are "
        "counted. Again for more.",
        metavar="RULE",
    ),
]
OnlyValid = Annotated[bool, typer.Option("--only-valid", help="Leave out rows that break a --check.")]


def advancing(
    pieces: "Iterable[npt.NDArray[np.floating[Any]]]", rows: int
) -> "Iterator[npt.NDArray[np.floating[Any]]]":
    """The pieces of so many rows, with a bar on standard error, where that is a terminal, if they take a moment."""
    from rich.progress import Progress

    terminal = console(stderr=True)
    with Progress(console=terminal, transient=True, disable=rows < LONG or not terminal.is_interactive) as bar:
        task = bar.add_task("", total=rows)
        for piece in pieces:
            yield piece
            bar.advance(task, len(piece))


def found_in(told: Mapping[str, Any]) -> list[str]:
    """The facts told of drawn rows, as JSON; none where nothing was asked of them."""
    return [json.dumps(told)] if told.keys() - {"rows", "drawn"} else []


def tell(told: Mapping[str, Any]) -> None:
    """Print how many rows were drawn for those that were asked for, and how many break a check."""
    terminal, rows, drawn = console(), told["rows"], told["drawn"]
    wanted = [*told.get("where", ()), *["every check"] * told.get("only_valid", False)]
    if "balance" in told:
        wanted.append(f"equal shares of {told['balance']['column']}")
    if wanted:
        terminal.print(f"{drawn:,} rows were drawn for {rows:,} ({_share(rows, drawn)}): {', '.join(wanted)}")
    for name, count in told.get("balance", {}).get("rows", {}).items():
        terminal.print(f"{told['balance']['column']}={name}: {count:,} of {told['balance']['drawn'][name]:,}")
    for text, broken in told.get("broken", {}).items():
        left_out = ", and were left out" if told["only_valid"] else ""
        terminal.print(
            f"{broken:,} of {told['checked']:,} rows ({_share(broken, told['checked'])}) break {text}{left_out}"
        )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g} %"
