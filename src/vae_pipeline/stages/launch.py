"""Start this command once more in each of several processes, that train one model together."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from vae_pipeline.system.errors import LOST, TrainingError

GRACE_S = 5.0  # that the others have, once one is gone, to end by themselves
SPOKEN = "vae-pipeline: "  # what a line begins with by which a command ends

Process = subprocess.Popen[bytes]


def launched() -> bool:
    """True if a launcher has started this process as one of several."""
    return "WORLD_SIZE" in os.environ


def launch(arguments: Sequence[str], count: int, threads: int | None) -> None:
    """Run `vae-pipeline` with these arguments in `count` processes on this machine, to their end.

    The first one speaks. Of the lines by which processes end, the one that tells the cause is shown, once.

    Raises:
        TrainingError: one of them was ended from outside, or by an error that it has no line for.
        SystemExit: one of them ended with that code, and its line was shown.
    """
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder, str(rank)) for rank in range(count)]
        with _running(arguments, logs, threads) as processes:
            bad = _wait(processes, logs)
        if bad is None:
            return
        code, line = processes[bad].returncode, _last_line(logs[bad])
    if code > 0 and line.startswith(SPOKEN):
        who = f"process {bad} of {count}: " if bad else ""
        sys.stderr.write(f"{SPOKEN}{who}{line.removeprefix(SPOKEN)}\n")
    if code > 0 and (bad == 0 or line.startswith(SPOKEN)):  # a traceback of the first one was shown as it came
        raise SystemExit(code)
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    said = f" ({line[:300]})" if line and bad else ""
    raise TrainingError(
        f"process {bad} of {count} {how}{said}, and the others were stopped; the same command goes on from the last "
        "checkpoint"
    )


@contextmanager
def _running(arguments: Sequence[str], logs: Sequence[Path], threads: int | None) -> Iterator[list[Process]]:
    """The processes, each in a session of its own: signals reach them through this one alone."""
    port = _free_port()
    processes: list[Process] = []

    def forward(number: int, _: FrameType | None) -> None:
        for process in processes:
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for rank, log in enumerate(logs):
            environment = {
                **os.environ,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(len(logs)),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "VAE_THREADS": str(threads or max(1, (os.cpu_count() or 1) // len(logs))),
            }
            command = [sys.executable, "-m", "vae_pipeline", *arguments]
            output = subprocess.DEVNULL if rank else None
            with log.open("wb") as file:
                processes.append(
                    subprocess.Popen(command, env=environment, stdout=output, stderr=file, start_new_session=True)
                )
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(processes: Sequence[Process], logs: Sequence[Path]) -> int | None:
    """Wait for all, and show what the first one complains of; the number of the one that ended the others, or None."""
    with logs[0].open("rb") as complaints:
        while not (first := _bad(processes)) and any(process.poll() is None for process in processes):
            _look(complaints)
        until = time.monotonic() + GRACE_S
        while any(process.poll() is None for process in processes) and time.monotonic() < until:
            _look(complaints)
        _look(complaints)
    bad = _bad(processes)
    aborted = -signal.SIGABRT  # as libraries are that lose another process
    killed = [number for number, code in (first or bad).items() if code < 0 and code != aborted]
    own = [number for number in bad if LOST not in _last_line(logs[number])]
    return next(iter([*killed, *own, *bad]), None)


def _bad(processes: Sequence[Process]) -> dict[int, int]:
    """The exit codes of those that ended badly, by their numbers."""
    codes = {number: process.poll() for number, process in enumerate(processes)}
    return {number: code for number, code in codes.items() if code}


def _look(complaints: BinaryIO) -> None:
    """Show the whole lines that have come, but the one by which a command ends; then wait a moment."""
    while (line := complaints.readline()).endswith(b"\n"):
        if not line.startswith(SPOKEN.encode()):
            sys.stderr.write(line.decode(errors="replace"))
    complaints.seek(-len(line), os.SEEK_CUR)
    sys.stderr.flush()
    time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
