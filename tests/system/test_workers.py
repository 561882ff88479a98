"""Pieces of a work are all done, whatever the number of processes, and a process that dies takes nothing else along."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vae_pipeline.system.errors import DataError, WorkerError
from vae_pipeline.system.workers import share


def silent(_: int) -> None:
    pass


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


@pytest.mark.parametrize("processes", [1, 2, 3, 20])
def test_each_piece_is_done_once_and_told(tmp_path: Path, processes: int) -> None:
    told: list[int] = []

    def work(piece: int) -> None:
        with (tmp_path / str(piece)).open("a") as file:
            file.write(f"{os.getpid()}\n")

    share([2, 3, 5, 8, 9, 11], work, processes, told.append)
    done = {int(path.name): path.read_text().split() for path in tmp_path.iterdir()}
    assert sorted(done) == [2, 3, 5, 8, 9, 11]
    assert all(len(by) == 1 for by in done.values())
    assert len({by for (by,) in done.values()}) == min(processes, 6)
    assert (told[-1], told == sorted(told)) == (6, True)
    assert not has_children()


def test_nothing_to_do() -> None:
    told: list[int] = []
    share([], lambda _: pytest.fail("there was no piece"), 3, told.append)
    assert told == [0]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_error_is_that_of_the_first_piece_that_fails(tmp_path: Path, processes: int) -> None:
    def work(piece: int) -> None:
        if piece in (5, 7, 8):
            raise DataError(f"piece {piece} is bad")
        (tmp_path / str(piece)).touch()

    with pytest.raises(DataError, match=r"^piece 5 is bad$"):
        share(range(20), work, processes, silent)
    assert {str(piece) for piece in range(5)} <= {path.name for path in tmp_path.iterdir()}
    assert not has_children()


def test_an_error_that_passes_is_made_good(tmp_path: Path) -> None:
    first = os.getpid()

    def work(piece: int) -> None:
        if piece == 3 and os.getpid() != first:
            raise OSError("a disk that was away for a moment")
        (tmp_path / str(piece)).touch()

    share(range(8), work, 2, silent)
    assert {path.name for path in tmp_path.iterdir()} == {str(piece) for piece in range(8)}


def test_a_process_that_is_killed_is_named_and_the_others_end(tmp_path: Path) -> None:
    def work(piece: int) -> None:
        if piece == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if piece == 4:
            (tmp_path / "other").write_text(str(os.getpid()))
            time.sleep(60)

    with pytest.raises(
        WorkerError, match=r"process 1 of 2 was ended by SIGKILL, .* the same command goes on"
    ) as caught:
        share(range(8), work, 2, silent)
    assert caught.value.exit_code == 1
    assert not has_children()


@pytest.mark.slow
def test_processes_end_when_the_first_is_killed(tmp_path: Path) -> None:
    script = """
import os, sys, time
from pathlib import Path
from vae_pipeline.system.workers import share
def work(piece):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(0.2)
share(range(1000), work, 2, lambda done: None)
"""
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    until = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    process.kill()
    process.wait()
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers))
