"""Locks between processes: whoever waits for one is told who holds it, and how to go on."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

SAY_AFTER_S = 2.0


@contextmanager
def held(path: Path, doing: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock while the block does what `doing` says, such as `trains this run`; a longer wait is said once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(path), path.with_suffix(".holder")
    try:
        lock.acquire(timeout=SAY_AFTER_S)
    except Timeout:
        say(_waiting(holder, doing))
        lock.acquire()
    try:
        with suppress(OSError):  # it is only read by those who wait
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            holder.write_text(json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since}))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def free(path: Path) -> Iterator[bool]:
    """True if nobody holds the lock; nobody can take it inside the block then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _waiting(holder: Path, doing: str) -> str:
    try:
        known = json.loads(holder.read_text(encoding="utf-8"))
        process, host, since = int(known["process"]), str(known["host"]), str(known["since"])
    except (OSError, ValueError, KeyError, TypeError):  # it has just begun, or ended
        return f"waiting for another process that {doing}"
    if host != socket.gethostname():
        return f"waiting for process {process} on {host}, which {doing} since {since}"
    if _stopped(process):
        return (
            f"waiting for process {process}, which {doing} since {since} and is suspended: "
            f"`kill -CONT {process}` lets it go on, `kill -KILL {process}` ends it and this one takes over"
        )
    return (
        f"waiting for process {process}, which {doing} since {since}: `kill {process}` ends it, and this one takes over"
    )


def _stopped(process: int) -> bool:
    """True if SIGSTOP or a terminal has suspended it, as far as the system tells."""
    try:
        state = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in ("T", "t")
