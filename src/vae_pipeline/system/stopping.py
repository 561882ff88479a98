"""SIGINT and SIGTERM at the command line: an exception that cleans up, then a second one that doesn't wait for it."""

import os
import shutil
import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
EXIT_CODE = 130


class Stopped(BaseException):
    """A signal came. It is no Exception: libraries that try and carry on would swallow that."""


def listen() -> None:
    """Let a signal raise Stopped from here on; a second one ends the process at once."""
    for number in SIGNALS:
        signal.signal(number, _stop)


def ignore() -> None:
    """Let signals change nothing any more: the process is about to end by itself."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    """Raise; but let finish an import, whose compiled modules may swallow what is raised, and a cleaning-up."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(("<frozen importlib", shutil.__file__)):
            signal.signal(signal.SIGALRM, lambda _, later: _stop(number, later))
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            return
        frame = frame.f_back
    for each in SIGNALS:
        signal.signal(each, _end)
    raise Stopped(signal.Signals(number).name)


def _end(number: int, _: FrameType | None) -> None:
    """Leave what is half-written aside, where it stands under a name of its own and the next command clears it."""
    os.write(2, f"vae-pipeline: {signal.Signals(number).name} again: ended at once\n".encode())
    os._exit(EXIT_CODE)
