"""The display of a training run: a live line on a terminal or in a notebook, one plain line an epoch elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vae_pipeline.stages.progress_display import clock
from vae_pipeline.training.epoch import Epoch
from vae_pipeline.training.length import Length
from vae_pipeline.training.loop import Progress as Step

PLAIN_EVERY_S = 5.0
LIVE_EVERY_S = 0.2


class Display:
    """Shows steps; reads no number from the device unless it shows it."""

    def __init__(self, console: Console, name: str, length: Length) -> None:
        self.console, self.name, self.length = console, name, length
        self.examples, self.shown = 0, 0.0
        self.first: int | None = None
        """The step before this process took the run up, and when that was."""
        self.since = 0.0
        self.last: Epoch | None = None
        columns = (
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeRemainingColumn(),
        )
        self.cell = Cell() if console.is_jupyter and not console.quiet else None
        self.live = Progress(*columns, console=console, transient=True) if console.is_interactive else None
        self.task = None if self.live is None else self.live.add_task(name, total=None, figures="")

    def __enter__(self) -> "Display":
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def step(self, step: Step) -> None:
        """A step was made."""
        now = time.monotonic()
        if self.first is None:  # the first step pays for imports and warming up: it isn't counted
            self.first, self.since = step.step, now
        else:
            self.examples += step.examples
        self.last = step.epoch or self.last
        done = step.step == step.steps
        if self.live is not None and self.task is not None:
            if now - self.shown > LIVE_EVERY_S or done:
                self.shown = now
                figures = f"epoch {1 + (step.step - 1) // self.length.epoch}/{self.length.epochs}  {self._figures(now)}"
                self.live.update(self.task, total=step.steps, completed=step.step, figures=figures)
        elif self.cell is not None:
            if now - self.shown > LIVE_EVERY_S or done:
                self.shown = now
                self.cell.show(f"{self.name}: step {step.step:,} of {step.steps:,}  {self._figures(now)}")
        elif step.epoch is not None and (now - self.shown > PLAIN_EVERY_S or done):
            self.shown = now
            counted = step.step - self.first
            left = f"  {clock((now - self.since) / counted * (step.steps - step.step))} left" if counted else ""
            epoch = f"epoch {step.epoch.epoch}/{self.length.epochs}"
            self.console.print(f"{self.name}: {epoch}  {self._figures(now)}{left}")

    def _figures(self, now: float) -> str:
        speed = f"{self.examples / max(1e-9, now - self.since):,.0f} examples/s" if self.examples else ""
        if self.last is None:
            return speed
        epoch = self.last
        valid = epoch.valid_elbo
        elbo = f"ELBO {epoch.train_elbo:.2f}" + (f" (valid {valid:.2f})" if valid is not None else "")
        return f"{elbo}  distortion {epoch.train_distortion:.2f}  rate {epoch.train_rate:.2f}  {speed}".rstrip()


class Cell:
    """A line in a notebook's cell, written over again and again; the last one stays."""

    def __init__(self) -> None:
        from IPython.display import display  # noqa: PLC0415 (it is there in a notebook, and nowhere else needed)

        self.handle = display({"text/plain": ""}, raw=True, display_id=True)

    def show(self, text: str) -> None:
        """Write the line."""
        self.handle.update({"text/plain": text}, raw=True)
