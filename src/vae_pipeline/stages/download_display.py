"""A bar for each file that is being downloaded; nothing where there is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from vae_pipeline.kinds.download import Reporter, silent


@contextmanager
def showing_downloads(console: Console) -> Iterator[Reporter]:
    """Yield what a Finder reports to."""
    if not console.is_interactive:
        yield silent
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    progress = Progress(*columns, console=console, transient=True)
    tasks: dict[str, TaskID] = {}

    def report(name: str, done: int, total: int | None) -> None:
        if name not in tasks:
            progress.start()  # at the first download, so that it isn't in the way of another display
            tasks[name] = progress.add_task(name, total=total)
        progress.update(tasks[name], completed=done, total=total)

    try:
        yield report
    finally:
        progress.stop()
