"""The journal: what a stage wants recorded, as lines of JSON in a file of its own.

A stage appends; the sender replays. A journal is deleted once it has been sent to its end, and one that
could not be sent waits for `vae-pipeline sync`.
"""

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from vae_pipeline.files import tree_digest


def running(home: Path, key: str, timeout_s: float = -1) -> FileLock:
    """Held by the process that trains the run of that key; a second one waits."""
    (home / "running").mkdir(parents=True, exist_ok=True)
    return FileLock(home / "running" / f"{key}.lock", timeout=timeout_s)


Role = Literal["train", "evaluate", "export", "rate-distortion"]
Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass
class Entries:
    """A journal, read."""

    header: dict[str, Any]
    metrics: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    children: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] | None = None


class Journal:
    """Append-only record of one stage's run.

    It never raises: where it can't be written, `warn` is told once and the run goes on unrecorded.
    """

    def __init__(self, folder: Path, role: Role, key: str, warn: Callable[[str], None], on: bool = True) -> None:
        self.path = folder / f"{role}-{key[:16]}.jsonl"
        self.role, self.key, self.warn, self.on = role, key, warn, on

    def start(
        self,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        weights: str | None = None,
        dataset: Mapping[str, Any] | None = None,
        resumed: bool = False,
    ) -> None:
        """Begin, or go on with what an interrupted run wrote."""
        if resumed and self.path.is_file():
            return
        self.discard()
        self._append(
            entry="start",
            role=self.role,
            key=self.key,
            name=name,
            params=dict(params),
            tags=dict(tags),
            weights=weights,
            dataset=None if dataset is None else dict(dataset),
        )

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record numbers at a step."""
        self._append(entry="metrics", step=step, values=dict(values))

    def artifact(self, path: Path, to: str) -> None:
        """Record a file or folder."""
        self._artifact(path, to, bundle=None)

    def bundle(self, path: Path, to: str, name: str | None, aliases: Sequence[str]) -> None:
        """Record a bundle, as an MLflow model too, registered under `name` with aliases unless that is None."""
        self._artifact(path, to, bundle={"name": name, "aliases": list(aliases)})

    def tag(self, name: str, value: str) -> None:
        """Record a word about the run; a later one of the same name takes its place."""
        self._append(entry="tag", name=name, value=value)

    def child(self, name: str, params: Mapping[str, Any], epochs: Sequence[Mapping[str, float]]) -> None:
        """Record a whole run that is a part of this one, with its numbers epoch by epoch."""
        self._append(entry="child", name=name, params=dict(params), epochs=[dict(epoch) for epoch in epochs])

    def end(self, status: Status, weights: str | None = None) -> None:
        """Nothing follows."""
        self._append(entry="end", status=status, weights=weights)

    def discard(self) -> None:
        """What was written is no longer wanted."""
        if self.on:
            with contextlib.suppress(OSError):  # where it can't be removed, the next line can't be written, and says so
                self.path.unlink(missing_ok=True)

    def _artifact(self, path: Path, to: str, bundle: dict[str, Any] | None) -> None:
        self._append(entry="artifact", path=str(path.absolute()), digest=tree_digest(path), to=to, bundle=bundle)

    def _append(self, **entry: Any) -> None:
        if not self.on:
            return
        line = json.dumps({**entry, "time": time.time_ns() // 1_000_000})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            self.on = False
            self.warn(f"the tracking journal {self.path} can't be written ({error.strerror}); nothing more is recorded")


def read_journal(path: Path) -> Entries | None:
    """What a journal holds; None if it doesn't even begin. A line cut short by a crash is left out."""
    entries: Entries | None = None
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if entry["entry"] == "start":
            entries = Entries(entry)
        elif entries is None:
            return None
        elif entry["entry"] == "metrics":
            entries.metrics.append(entry)
            entries.end = None  # the run was taken up again
        elif entry["entry"] == "artifact":
            entries.artifacts.append(entry)
        elif entry["entry"] == "tag":
            entries.tags[entry["name"]] = entry["value"]
        elif entry["entry"] == "child":
            entries.children.append(entry)
        else:
            entries.end = entry
    return entries


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested parameters as `train.learning_rate` and the like."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
