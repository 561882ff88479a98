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
    progress, said = Progress(*columns, console=console, transient=True), Said()
    task = progress.add_task(name, total=None, what="")

    def show(what: str, done: int, total: int) -> None:
        progress.start()  # late, so that it isn't in the way of a download's
        progress.update(task, completed=done, total=total, what=said(what, done, total))

    try:
        with heard_by(show):
            yield
    finally:
        progress.stop()


@contextmanager
def _plain(console: Console, name: str) -> Iterator[None]:
    """The first line comes late, so that short work prints nothing."""
    since = shown = time.monotonic()
    said = Said()

    def show(what: str, done: int, total: int) -> None:
        nonlocal shown
        now, text = time.monotonic(), said(what, done, total)
        if now - shown > PLAIN_EVERY_S:
            shown = now
            console.print(f"{name}: {text}, after {now - since:.0f} s")

    with heard_by(show):
        yield


class Said:
    """A count of what is done, in words, with the time that is left at the pace since the work began here."""

    def __init__(self) -> None:
        self.what, self.first, self.since = "", 0, 0.0

    def __call__(self, what: str, done: int, total: int) -> str:
        """Say how far the work called `what` has come."""
        now = time.monotonic()
        if what != self.what:
            self.what, self.first, self.since = what, done, now
        if not done:  # work that can't be counted stays at its beginning
            return what
        text = f"{what}: {done:,} of {total:,}"
        pace = (done - self.first) / max(1e-9, now - self.since)
        if pace == 0:
            return text
        fast = f"{pace:,.0f}" if pace >= 100 else f"{pace:.3g}"
        speed = f"{fast}/s" if pace >= 1 else f"{1 / pace:.3g} s each"
        return f"{text}, {speed}, {clock((total - done) / pace)} left"


def clock(seconds: float) -> str:
    """A duration as minutes and seconds, with hours where there are some."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
