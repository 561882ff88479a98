"""Send a journal while it grows, in a process of its own, so that the training loop never waits for a tracker.

The process is told settings and journal in the first line of its input; the end of its input says that the journal is
complete. What it prints are warnings.
"""

import json
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import IO

from vae_pipeline.settings import Settings
from vae_pipeline.tracking.journal import Journal, read_journal
from vae_pipeline.tracking.tracker import Tracker

EVERY_S = 5.0


@contextmanager
def followed(journal: Journal, settings: Settings, warn: Callable[[str], None]) -> Iterator[None]:
    """Inside the block, what is written into the journal is sent; leaving it waits until all is."""
    if not journal.on:
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "vae_pipeline.tracking.follow"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # an interruption is the loop's to deal with
    )
    assert process.stdin is not None and process.stdout is not None
    told = Thread(target=_pass_on, args=(process.stdout, warn), daemon=True)
    told.start()
    try:
        given = {"settings": settings.model_dump(mode="json"), "role": journal.role, "key": journal.key}
        process.stdin.write(json.dumps(given) + "\n")
        process.stdin.flush()
        yield
    finally:
        with process:  # closes its input, and waits
            process.stdin.close()
            told.join()
        if process.returncode:
            warn(f"what sends the record ended with exit code {process.returncode}; `vae-pipeline sync` sends the rest")


def _pass_on(lines: IO[str], warn: Callable[[str], None]) -> None:
    for line in lines:
        warn(line.rstrip("\n"))


def _follow() -> None:
    given = json.loads(sys.stdin.readline())
    tracker = Tracker(Settings.model_validate(given["settings"]), _say)
    journal = tracker.journal(given["role"], given["key"])
    ended = False
    while not ended:
        tracker.send(journal)
        ended = bool(select.select([sys.stdin], [], [], EVERY_S)[0])
    entries = read_journal(journal.path) if journal.path.is_file() else None
    if entries is not None and entries.end is not None:  # else whoever wrote it was killed
        tracker.send(journal)


def _say(text: str) -> None:
    sys.stdout.write(" ".join(text.split()) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _follow()
