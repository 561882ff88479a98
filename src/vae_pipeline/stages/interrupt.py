"""SIGINT and SIGTERM become a flag, so that a step is finished and a checkpoint written."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """The signal by which the run was asked to end, if it was."""

    name: str | None = None

    def __bool__(self) -> bool:
        return self.name is not None


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Inside the block the first signal sets the flag; a second one acts as it always does.

    Signals reach the main thread alone: in another one the flag stays down.
    """
    asked = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, _: FrameType | None) -> None:
        asked.name = signal.Signals(number).name
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
