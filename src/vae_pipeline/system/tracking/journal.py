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
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from vae_pipeline.system.errors import Interrupted
from vae_pipeline.system.files import tree_digest
from vae_pipeline.system.redaction import all_redacted

Role = Literal["train", "evaluate", "export", "register", "rate-distortion", "sweep", "study"]
Status = Literal["FINISHED", "FAILED", "KILLED"]


def running(home: Path, key: str) -> Path:
    """The lock of the process that trains the run of that key."""
    return home / "running" / f"{key}.lock"


class Entry(BaseModel):
    """One line of a journal."""

    model_config = ConfigDict(frozen=True)

    time: int = Field(default_factory=lambda: time.time_ns() // 1_000_000)
    """Milliseconds of the Unix clock."""


class Start(Entry):
    """The first line: the run's name, parameters and data."""

    entry: Literal["start"] = "start"
    role: Role
    key: str
    name: str
    params: dict[str, Any]
    tags: dict[str, str]
    weights: str | None
    dataset: dict[str, Any] | None


class Metrics(Entry):
    """Numbers at a step."""

    entry: Literal["metrics"] = "metrics"
    step: int
    values: dict[str, float]


class Registration(BaseModel):
    """The name, if any, under which MLflow's registry is to have a bundle, and aliases that move to it."""

    name: str | None
    aliases: list[str]


class Artifact(Entry):
    """A file or folder, and where it goes; a bundle is logged as a model too."""

    entry: Literal["artifact"] = "artifact"
    path: str
    digest: str
    to: str
    bundle: Registration | None


class Tag(Entry):
    """A word about the run."""

    entry: Literal["tag"] = "tag"
    name: str
    value: str


class Child(Entry):
    """A whole run that is a part of this one."""

    entry: Literal["child"] = "child"
    name: str
    params: dict[str, Any]
    epochs: list[dict[str, float]]
    status: Status = "FINISHED"
    tags: dict[str, str] = Field(default_factory=dict)


class End(Entry):
    """The last line: nothing follows."""

    entry: Literal["end"] = "end"
    status: Status
    weights: str | None


_LINE: TypeAdapter[Start | Metrics | Artifact | Tag | Child | End] = TypeAdapter(
    Annotated[Start | Metrics | Artifact | Tag | Child | End, Field(discriminator="entry")]
)


@dataclass
class Entries:
    """A journal, read."""

    start: Start
    metrics: list[Metrics] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    end: End | None = None


class Damaged(Exception):  # noqa: N818 (it tells of a file)
    """A line of a journal isn't one."""


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
            self._drop_unfinished_line()
            return
        self.discard()
        self._append(
            Start(
                role=self.role,
                key=self.key,
                name=name,
                params=all_redacted(params),
                tags=dict(tags),
                weights=weights,
                dataset=all_redacted(dataset),
            )
        )

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record numbers at a step."""
        self._append(Metrics(step=step, values=dict(values)))

    def artifact(self, path: Path, to: str) -> None:
        """Record a file or folder."""
        self._artifact(path, to, bundle=None)

    def bundle(self, path: Path, to: str, name: str | None, aliases: Sequence[str]) -> None:
        """Record a bundle, as an MLflow model too, registered under `name` with aliases unless that is None."""
        self._artifact(path, to, bundle=Registration(name=name, aliases=list(aliases)))

    def tag(self, name: str, value: str) -> None:
        """Record a word about the run; a later one of the same name takes its place."""
        self._append(Tag(name=name, value=value))

    def child(
        self,
        name: str,
        params: Mapping[str, Any],
        epochs: Sequence[Mapping[str, float]],
        status: Status = "FINISHED",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Record a whole run that is a part of this one, with its numbers epoch by epoch."""
        numbers, words = [dict(epoch) for epoch in epochs], all_redacted(tags or {})
        self._append(Child(name=name, params=all_redacted(params), epochs=numbers, status=status, tags=words))

    def end(self, status: Status, weights: str | None = None) -> None:
        """Record that nothing follows."""
        self._append(End(status=status, weights=weights))

    def break_off(self, error: BaseException) -> None:
        """Record that an error ended the run: by a signal or by its user, or because it failed."""
        killed = isinstance(error, Interrupted) or not isinstance(error, Exception)
        self.end("KILLED" if killed else "FAILED")

    def discard(self) -> None:
        """Delete what was written."""
        if self.on:
            with contextlib.suppress(OSError):  # where it can't be removed, the next line can't be written, and says so
                self.path.unlink(missing_ok=True)

    def _artifact(self, path: Path, to: str, bundle: Registration | None) -> None:
        if self.on:
            self._append(Artifact(path=str(path.absolute()), digest=tree_digest(path), to=to, bundle=bundle))

    def _append(self, entry: Entry) -> None:
        if not self.on:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry.model_dump()) + "\n")
        except OSError as error:
            self.on = False
            self.warn(f"the tracking journal {self.path} can't be written ({error.strerror}); nothing more is recorded")

    def _drop_unfinished_line(self) -> None:
        """Cut off a line that a crash left without its end: it would spoil the line that follows it."""
        with contextlib.suppress(OSError):
            content = self.path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                with self.path.open("r+b") as file:
                    file.truncate(whole)


def read_journal(path: Path) -> Entries | None:
    """The entries of a journal; None if it doesn't even begin. A last line that a crash cut short is left out.

    A run that was taken up from a checkpoint has made the steps after it twice: the first numbers stand.

    Raises:
        Damaged: another line isn't an entry.
    """
    entries: Entries | None = None
    known: set[tuple[str, int]] = set()
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        try:
            entry = _LINE.validate_python(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise Damaged(f"line {number} isn't an entry") from error
        if isinstance(entry, Start):
            entries, known = Entries(entry), set()
            continue
        if entries is None:
            raise Damaged(f"line {number} comes before the start of a run")
        match entry:
            case Metrics():
                new = {name: value for name, value in entry.values.items() if (name, entry.step) not in known}
                known |= {(name, entry.step) for name in new}
                entries.metrics.append(entry.model_copy(update={"values": new}))
                entries.end = None  # the run was taken up again
            case Artifact():
                entries.artifacts.append(entry)
            case Tag():
                entries.tags[entry.name] = entry.value
            case Child():
                entries.children.append(entry)
            case End():
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
