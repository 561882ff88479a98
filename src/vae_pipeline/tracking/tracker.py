"""When journals are sent to MLflow, and what becomes of them if they can't be.

The tracker never raises: at the first refusal it says so once, and leaves the journal for `sync`.
"""

import contextlib
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from vae_pipeline.redaction import redacted
from vae_pipeline.settings import Settings, sqlite_path
from vae_pipeline.tracking.connection import connect
from vae_pipeline.tracking.journal import Journal, Role, read_journal, running
from vae_pipeline.tracking.replay import Replay

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Tracker:
    """Sends journals; `warn` is told, once, if that can't be done."""

    def __init__(self, settings: Settings, warn: Callable[[str], None]) -> None:
        self.settings, self.warn = settings, warn
        self.folder = settings.home / "tracking"
        self.on = settings.mlflow_uri.lower() != "off"
        self._client: MlflowClient | None = None
        self._experiment = ""
        self._run_id: str | None = None
        self._sent: dict[str, int] = {}

    def journal(self, role: Role, key: str) -> Journal:
        """The journal of a stage's run."""
        return Journal(self.folder, role, key, self.warn, self.on)

    def send(self, journal: Journal) -> None:
        """Send what is new in a journal; delete it once all is sent."""
        if journal.on and journal.path.is_file():
            self._send(journal.path)

    def sync(self) -> tuple[int, int]:
        """Send every journal that waits; the numbers of those sent and of those that remain."""
        # Training first: evaluation and export look for its run.
        paths = sorted(self.folder.glob("*.jsonl"), key=lambda path: (not path.name.startswith("train"), path.name))
        for path in paths:
            self._run_id, self._sent = None, {}
            self._close_abandoned(path)
            self._send(path)
        left = sum(path.is_file() for path in paths)
        return len(paths) - left, left

    def _close_abandoned(self, path: Path) -> None:
        """A run whose process was killed never said that it ended."""
        entries = read_journal(path)
        if entries is None or entries.end is not None:
            return
        header = entries.header
        with contextlib.suppress(Timeout), running(self.settings.home, header["key"], timeout_s=0):
            self.journal(header["role"], header["key"]).end("KILLED")

    def _send(self, path: Path) -> None:
        if not self.on:
            return
        try:
            with warnings.catch_warnings(), self._connected() as client:
                warnings.simplefilter("ignore")
                done = Replay(client, self._experiment, self.warn, self._run_id, self._sent)
                finished = done.replay(path)
                self._run_id, self._sent = done.run_id, done.sent
            if finished:
                path.unlink()
        except Exception as error:  # whatever a tracker does, the run goes on
            self.on = False
            reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            text = (
                f"MLflow at {self.settings.mlflow_uri} can't be written ({reason}); the run goes on, "
                "and `vae-pipeline sync` sends later what is missing"
            )
            self.warn(redacted(text))

    @contextlib.contextmanager
    def _connected(self) -> "Iterator[MlflowClient]":
        if self._client is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Several processes that create the tables of one SQLite file at once destroy each other's work.
            with FileLock(self.folder / "mlflow.lock"):
                self._client = connect(self.settings.mlflow_uri)
                self._experiment = _experiment(self._client, self.settings)
        yield self._client


def _experiment(client: "MlflowClient", settings: Settings) -> str:
    known = client.get_experiment_by_name(settings.mlflow_experiment)
    if known is not None:
        return str(known.experiment_id)
    location, database = settings.mlflow_artifacts, sqlite_path(settings.mlflow_uri)
    if location is None and database is not None:
        # Absolute: MLflow's own default is relative to the folder of whoever came first.
        location = (database.absolute().parent / "mlartifacts").as_uri()
    return str(client.create_experiment(settings.mlflow_experiment, artifact_location=location))


def provenance(recipe: str) -> dict[str, str]:
    """Tags of a run: the recipe's name and, in a git work tree, the commit."""
    tags = {"vae.recipe": recipe}
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return tags
    return tags | {"mlflow.source.git.commit": found.stdout.strip()}
