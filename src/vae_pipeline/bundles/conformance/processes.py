"""Programs that answer an exchange's folder, each in a process of its own, watched."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

LIMIT_S = 300.0
"""An honest answer takes seconds; a program that waits for ever is ended."""


def answer_by(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str | None:
    """Run a program to its end; what went wrong in one line, or None."""
    with started(command, folder, environment) as process:
        return ended(process, folder, lambda: False)


@contextmanager
def started(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a program in `folder`; it and what it started are gone when the block ends."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def ended(process: "subprocess.Popen[bytes]", folder: Path, done: Callable[[], bool]) -> str | None:
    """Wait until the program ends or `done`; why it ended badly, or None."""
    until, answered = time.monotonic() + LIMIT_S, 0
    while process.poll() is None and not done():
        if len(found := list(folder.glob("answers/*"))) > answered:  # each answer has as long
            until, answered = time.monotonic() + LIMIT_S, len(found)
        if time.monotonic() > until:
            return f"no answer within {LIMIT_S:g} s"
        time.sleep(0.02)
    code = process.poll()
    if not code or done():
        return None
    died = f"its process died of {signal.Signals(-code).name}" if code < 0 else f"its program ended with {code}"
    said = [line.strip() for line in (folder / "log").read_text(errors="replace").splitlines() if line.strip()]
    return f"{died}: {said[-1]}" if said else died
