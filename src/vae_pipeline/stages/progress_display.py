"""A line for the work that goes on: live on a terminal, now and then a plain one elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from vae_pipeline.system.progress import heard_by

PLAIN_EVERY_S = 15.0


@contextmanager
def showing_progress(console: Console, name: str) -> Iterator[None]:
    """A block whose work is shown, under the recipe's name."""
    with _live(console, name) if console.is_interactive else _plain(console, name):
        yield


@contextmanager
def _live(console: Console, name: str) -> Iterator[None]:
    columns = (
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[what]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=None, what="")

        def show(what: str, done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, what=_said(what, done, total))

        with heard_by(show):
            yield


@contextmanager
def _plain(console: Console, name: str) -> Iterator[None]:
    """The first line comes late, so that short work prints nothing."""
    since = shown = time.monotonic()

    def show(what: str, done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown > PLAIN_EVERY_S:
            shown = now
            console.print(f"{name}: {_said(what, done, total)}, after {now - since:.0f} s")

    with heard_by(show):
        yield


def _said(what: str, done: int, total: int) -> str:
    return f"{what}: {done:,} of {total:,}" if done else what  # work that can't be counted stays at its beginning
