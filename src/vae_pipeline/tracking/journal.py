"""The journal: what a stage wants recorded, as lines of JSON in a file of its own.

A stage appends; the sender replays. A journal is deleted once it has been sent to its end, and one that
could not be sent waits for `vae-pipeline sync`.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Role = Literal["train", "evaluate", "export"]
Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass
class Entries:
    """A journal, read."""

    header: dict[str, Any]
    metrics: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] | None = None


class Journal:
    """Append-only record of one stage's run."""

    def __init__(self, folder: Path, role: Role, key: str) -> None:
        self.path = folder / f"{role}-{key[:16]}.jsonl"
        self.role, self.key = role, key

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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
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

    def artifact(self, path: Path, to: str, kind: Literal["files", "onnx"] = "files") -> None:
        """Record a file or folder; `onnx` makes it an MLflow model too."""
        self._append(entry="artifact", path=str(path.absolute()), to=to, kind=kind)

    def end(self, status: Status, weights: str | None = None) -> None:
        """Nothing follows."""
        self._append(entry="end", status=status, weights=weights)

    def _append(self, **entry: Any) -> None:
        line = json.dumps({**entry, "time": time.time_ns() // 1_000_000})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


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
        elif entry["entry"] == "artifact":
            entries.artifacts.append(entry)
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
