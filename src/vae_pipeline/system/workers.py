"""Processes that share the pieces of one work, where each piece is done once its file is there."""

import mmap
import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from vae_pipeline.system.errors import WorkerError

LOOK_S = 0.1
Counts = npt.NDArray[np.int64]


def share(pieces: Sequence[int], work: Callable[[int], None], processes: int, tell: Callable[[int], None]) -> None:
    """Do ascending pieces of a work, and tell again and again how many are done.

    Of n processes, forked from this one, the first takes pieces 0, n, 2n and so on. A piece that fails is done once
    more in this process, when all pieces before it are done: the error is the one that a single process would raise.

    Raises:
        WorkerError: a process was ended from outside; what it had done stays done.
    """
    processes = min(processes, len(pieces)) if hasattr(os, "fork") else 1
    failed = _forked(pieces, work, processes, tell) if processes > 1 else 0
    for done, piece in enumerate(pieces):
        if piece >= failed:
            tell(done)
            work(piece)
    tell(len(pieces))


def _forked(pieces: Sequence[int], work: Callable[[int], None], processes: int, tell: Callable[[int], None]) -> int:
    """Run the processes to their end; returns the first piece that failed, or the one after the last."""
    beyond = pieces[-1] + 1
    shared = mmap.mmap(-1, 2 * 8 * processes)  # each process writes a place of its own: no lock is needed
    counts, failed = np.frombuffer(shared, np.int64).reshape(2, processes)
    failed[:] = beyond
    running: dict[int, int] = {}
    try:
        for number in range(processes):
            running[_fork(partial(_run, pieces, work, number, counts, failed))] = number
        while running:
            for process in list(running):
                ended, status = os.waitpid(process, os.WNOHANG)
                if ended:
                    number = running.pop(process)
                    if status:
                        raise WorkerError(_told(number, processes, os.waitstatus_to_exitcode(status)))
            tell(int(counts.sum()))
            time.sleep(LOOK_S if running else 0)
    finally:
        for process in running:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
    return int(failed.min())


def _fork(run: Callable[[], None]) -> int:
    """Start a process that runs a function and ends; it gives no sound, and leaves what it shares as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of a display are no part of what it does
        process = os.fork()
    if process:
        return process
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # sent to all by a terminal: the first process ends the others
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run()
        code = 0
    finally:
        os._exit(code)


def _run(pieces: Sequence[int], work: Callable[[int], None], number: int, counts: Counts, failed: Counts) -> None:
    """Do the pieces of one process, as long as the first one is there and none before has failed."""
    first = os.getppid()
    for piece in pieces[number :: len(counts)]:
        if os.getppid() != first or failed.min() < piece:
            return
        try:
            work(piece)
        except Exception:  # the first process meets it again
            failed[number] = piece
            return
        counts[number] += 1


def _told(number: int, processes: int, code: int) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    memory = " (if memory was short, set VAE_PREPARE_PROCESSES to fewer)" if code == -signal.SIGKILL else ""
    return f"process {number} of {processes} {how}, and the others were stopped; the same command goes on{memory}"
