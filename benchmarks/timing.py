"""Programs timed beside each other: they take turns inside one session, one thread each on one core."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.work import PIN, SINGLE, WORKERS

Row = dict[str, list[float]]
"""A value a round, by what was measured (`cpu`, `wall`, `peak_mib`)."""


class Worker:
    """A program of benchmarks/workers, pinned to one core."""

    def __init__(self, interpreter: Path, program: str, *arguments: object) -> None:
        command = [str(part) for part in (*PIN, interpreter, WORKERS / program, *arguments)]
        self.process = subprocess.Popen(
            command, env=os.environ | SINGLE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                raise SystemExit(f"{program} ended before it was ready")

    def unit(self) -> dict[str, float]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        while not (line := self.process.stdout.readline()).startswith("{"):
            if not line:
                raise SystemExit("a worker ended early")
        return dict(json.loads(line))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def alternate(workers: dict[str, Worker], rounds: int) -> dict[str, Row]:
    """A unit of each worker in turn."""
    rows: dict[str, Row] = {name: {"cpu": [], "wall": [], "peak_mib": []} for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            for key, value in worker.unit().items():
                rows[name][key].append(value)
    for worker in workers.values():
        worker.end()
    return rows


def whole(commands: dict[str, Sequence[object]], rounds: int) -> dict[str, Row]:
    """Each command from start to end, in turn; CPU time and memory of it and its children."""
    rows: dict[str, Row] = {name: {"cpu": [], "wall": [], "peak_mib": []} for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            done = subprocess.run(
                [str(part) for part in (*PIN, sys.executable, "-I", WORKERS / "measured.py", *command)],
                env=os.environ | SINGLE,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"{command} failed")
            for key, value in json.loads(done.stdout).items():
                rows[name][key].append(value)
    return rows
