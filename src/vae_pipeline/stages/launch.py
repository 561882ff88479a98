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

from vae_pipeline.system.errors import TrainingError

GRACE_S = 5.0  # that the others have, once one is gone, to end by themselves

Process = subprocess.Popen[bytes]


def launched() -> bool:
    """True if a launcher has started this process as one of several."""
    return "WORLD_SIZE" in os.environ


def launch(arguments: Sequence[str], count: int, threads: int | None) -> None:
    """Run `vae-pipeline` with these arguments in `count` processes on this machine, to their end.

    Raises:
        TrainingError: one of them was ended from outside, or ended with an error that only it saw.
        SystemExit: the first one ended with that code, and has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder, str(rank)) for rank in range(count)]
        with _running(arguments, logs, threads) as processes:
            bad = _wait(processes)
        if bad is None:
            return
        code = processes[bad].returncode
        first = processes[0].returncode
        if first > 0 and (bad == 0 or (first == code and code != TrainingError.exit_code)):
            raise SystemExit(first)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        said = "" if bad == 0 else _last_line(logs[bad])
    raise TrainingError(
        f"process {bad} of {count} {how}{f' ({said})' if said else ''}, and the others were stopped; "
        "the same command goes on from the last checkpoint"
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
            if rank == 0:  # the one that speaks
                processes.append(subprocess.Popen(command, env=environment, start_new_session=True))
                continue
            with log.open("wb") as file:
                processes.append(
                    subprocess.Popen(
                        command, env=environment, stdout=subprocess.DEVNULL, stderr=file, start_new_session=True
                    )
                )
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(processes: Sequence[Process]) -> int | None:
    """Wait for all; the number of the one that first ended badly, or None."""
    while True:
        codes = [process.poll() for process in processes]
        bad = [number for number, code in enumerate(codes) if code]
        if bad:
            break
        if None not in codes:
            return None
        time.sleep(0.1)
    until = time.monotonic() + GRACE_S
    while any(process.poll() is None for process in processes) and time.monotonic() < until:
        time.sleep(0.1)
    killed = [number for number in bad if (codes[number] or 0) < 0]  # the cause; the others then lost it
    return (killed or bad)[0]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _last_line(log: Path) -> str:
    with log.open(encoding="utf-8", errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()]
    return lines[-1][:300] if lines else ""
