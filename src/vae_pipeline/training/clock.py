"""The time of a run, and when to spend some of it on a checkpoint."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 50  # a checkpoint's cost counts this often before the next: 2 % of the time
BYTES_PER_S = 150e6  # that a checkpoint is taken to be written at, before the first was


class Clock:
    """The clock of checkpoints: one is due seldom enough that writing them costs 2 % of the time at most."""

    def __init__(self, before: float, every: float, cost: float) -> None:
        """`cost` of the first one, as far as can be guessed."""
        self.before, self.every, self.cost = before, every, cost
        self.began = self.saved = time.monotonic()

    def seconds(self) -> float:
        """The seconds spent on the run, in earlier processes too."""
        return self.before + time.monotonic() - self.began

    def due(self) -> bool:
        """True if the next checkpoint is due."""
        return time.monotonic() - self.saved > max(self.every, SHARE * self.cost)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around the writing of a checkpoint."""
        began = time.monotonic()
        yield
        self.saved = time.monotonic()
        self.cost = self.saved - began
