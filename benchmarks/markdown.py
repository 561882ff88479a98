"""Markdown that the pages share."""

from collections.abc import Iterable


def table(head: str, rows: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a table; `head` is "set | seed", and all columns but the first are of numbers."""
    columns = head.count("|") + 1
    return [f"| {head} |", "|---|" + "---:|" * (columns - 1), *("| " + " | ".join(row) + " |" for row in rows)]
