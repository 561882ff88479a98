"""A process that talks to MLflow, so that it can be ended whatever a server does.

It is told its task in the first line of its input, and the journals that it is to send in further ones; the end of its
input says that nothing follows. What it prints are lines of JSON, `[kind, text]`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import IO, Any, Literal

from vae_pipeline.system.errors import BundleError
from vae_pipeline.system.garbage import search_seldom
from vae_pipeline.system.settings import Settings
from vae_pipeline.system.tracking.journal import Damaged, read_journal
from vae_pipeline.system.tracking.registry import fetched
from vae_pipeline.system.tracking.sender import Sender

EVERY_S = 5.0
START_S = 120.0
"""Time for the process's own imports, which no tracker has part in, on a busy machine."""

Task = Literal["send", "follow", "sync", "fetch"]


class Courier:
    """The process, seen from the one that started it; it has ended when the block has."""

    def __init__(self, settings: Settings, task: Task, about: str, hear: Callable[[str, str], None]) -> None:
        self.settings, self.given = settings, {"task": task, "about": about}
        self._hear = hear
        self._progress: float | None = None

    def __enter__(self) -> "Courier":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vae_pipeline.system.tracking.courier"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # signals are for the process that started it to deal with
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._listener = Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._listener.start()
        self.give({"settings": self.settings.model_dump(mode="json"), **self.given})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._close_input()
        self._process.wait()
        self._listener.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def give(self, what: Any) -> None:
        """Hand over what is written as a line of JSON: of the task `send`, the path of a journal that has ended."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # its exit code tells
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()

    def finish(self, at_most_s: float | None = None) -> int | None:
        """The process's exit code, or None where it doesn't end within `at_most_s`.

        If that isn't given, it has `settings.mlflow_wait_s` from when it was ready, or had sent its last record.
        """
        self._close_input()
        since = time.monotonic()
        while True:
            try:
                code = self._process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                if time.monotonic() > self._deadline(since, at_most_s):
                    return None
            else:
                self._listener.join()
                return code

    def _deadline(self, since: float, at_most_s: float | None) -> float:
        if at_most_s is not None:
            return since + at_most_s
        if self._progress is None:
            return since + START_S
        return max(since, self._progress) + self.settings.mlflow_wait_s

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def _listen(self, lines: IO[str]) -> None:
        for line in lines:
            kind, text = json.loads(line)
            if kind != "warning":
                self._progress = time.monotonic()
            self._hear(kind, text)


def _main() -> None:
    search_seldom()
    parent = os.getppid()
    given = json.loads(sys.stdin.readline())
    settings = Settings.model_validate(given["settings"])
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # MLflow prints now and then

    def say(kind: str, text: str) -> None:
        said.write(json.dumps([kind, text]) + "\n")
        said.flush()

    journals: SimpleQueue[str | None] = SimpleQueue()
    ended = Event()
    Thread(target=_watch, args=(journals, ended, parent, settings.mlflow_wait_s), daemon=True).start()
    import mlflow  # noqa: F401, PLC0415

    say("ready", "")
    sender = Sender(settings, lambda text: say("warning", text))
    match given["task"]:
        case "send":
            sender.make_ready()
            while (journal := journals.get()) is not None:
                sender.send(Path(journal))
        case "follow":
            _follow(sender, Path(given["about"]), ended)
        case "sync":
            sender.sync(lambda path, outcome: say(outcome, path.name))
        case _:
            try:
                say("fetched", str(fetched(given["about"], settings)))
            except BundleError as error:
                say("refused", str(error))
    os._exit(0)  # all is said, and MLflow's own ending takes a while


def _follow(sender: Sender, path: Path, ended: Event) -> None:
    while not ended.is_set():
        if path.is_file():
            sender.send(path)
        ended.wait(EVERY_S)
    try:
        entries = read_journal(path) if path.is_file() else None
    except Damaged:
        return
    if entries is not None and entries.end is not None:  # else whoever wrote it was killed
        sender.send(path)


def _watch(journals: "SimpleQueue[str | None]", ended: Event, parent: int, wait_s: float) -> None:
    """Pass on what is given, notice that nothing follows and, where nobody is left to end this process, end it."""
    for line in sys.stdin:
        journals.put(json.loads(line))
    journals.put(None)
    ended.set()
    while os.getppid() == parent:
        time.sleep(1)
    time.sleep(wait_s)
    os._exit(1)


if __name__ == "__main__":
    _main()
