"""Send journals to MLflow, in this process; `tracking.courier` does it in one that can be ended."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vae_pipeline.system.locking import free
from vae_pipeline.system.redaction import redacted
from vae_pipeline.system.settings import Settings, sqlite_path
from vae_pipeline.system.tracking.connection import alone, connect, experiment, reason
from vae_pipeline.system.tracking.journal import Damaged, Journal, read_journal, running
from vae_pipeline.system.tracking.replay import Replay

if TYPE_CHECKING:
    from mlflow import MlflowClient

Outcome = Literal["sent", "waiting", "damaged"]

LATER = "`vae-pipeline sync` sends later what is missing"


class Sender:
    """Sends journals. It raises nothing: what can't be sent stays where it is, and `warn` is told why, once."""

    def __init__(self, settings: Settings, warn: Callable[[str], None]) -> None:
        self.settings, self._warn = settings, warn
        self._shown = redacted(settings.mlflow_uri)
        self._said: set[str] = set()
        self._connection: tuple[MlflowClient, str] | None = None
        self._replay: Replay | None = None
        self._failed = False

    def make_ready(self) -> None:
        """Connect, so that no journal waits for it; what fails here is told once one is sent.

        This process may be ended meanwhile, which a database that is just being made might not survive.
        """
        database = sqlite_path(self.settings.mlflow_uri)
        if database is None or database.is_file():
            with suppress(Exception), alone(self.settings.home):
                self._one()

    def send(self, path: Path) -> Outcome:
        """Send what is new in a journal; delete it once all is sent. After a failure nothing more is tried."""
        if self._failed:
            return "waiting"
        try:
            return self._passes(path)
        except Exception as error:  # whatever a tracker does, the run goes on
            self._failed = True
            self.warn(f"MLflow at {self._shown} can't be written ({reason(error)}); the run goes on, and {LATER}")
            return "waiting"

    def sync(self, told: Callable[[Path, Outcome], None]) -> None:
        """Send every journal that waits. One that MLflow refuses doesn't keep the others."""
        # Training first: evaluation and export look for its run. The latest last: aliases end at it.
        paths = [(not path.name.startswith("train"), path.stat().st_mtime, path) for path in self._waiting()]
        for _, _, path in sorted(paths):
            self._replay = None
            try:
                self._close_abandoned(path)
                told(path, self._passes(path))
            except Exception as error:
                if self._connection is None:
                    self.warn(f"MLflow at {self._shown} can't be reached ({reason(error)})")
                    return
                self.warn(f"MLflow at {self._shown} doesn't take {path.name} ({reason(error)}): it waits")

    def warn(self, text: str) -> None:
        """Say it, unless it has been said."""
        if text not in self._said:
            self._said.add(text)
            self._warn(text)

    def _waiting(self) -> list[Path]:
        return list((self.settings.home / "tracking").glob("*.jsonl"))

    def _passes(self, path: Path) -> Outcome:
        """Make one pass, and another where the first one fails: a connection may be lost once."""
        with alone(self.settings.home):
            if not path.is_file():  # another process was faster
                return "sent"
            try:
                try:
                    ended = self._one().replay(path)
                except Damaged:
                    raise
                except Exception:
                    self._replay = None
                    ended = self._one().replay(path)
            except Damaged as damaged:
                aside = path.with_suffix(".damaged")
                path.rename(aside)
                self.warn(f"the tracking journal {path} isn't one ({damaged}): it isn't sent, and is {aside.name} now")
                return "damaged"
            if ended:
                path.unlink()
            return "sent" if ended else "waiting"

    def _one(self) -> Replay:
        if self._connection is None:
            client = connect(self.settings.mlflow_uri)
            self._connection = client, experiment(client, self.settings)
        if self._replay is None:
            self._replay = Replay(*self._connection, self.warn)
        return self._replay

    def _close_abandoned(self, path: Path) -> None:
        """A run whose process was killed never said that it ended."""
        try:
            entries = read_journal(path)
        except Damaged:
            return
        if entries is None or entries.end is not None:
            return
        start = entries.start
        with free(running(self.settings.home, start.key)) as abandoned:
            if abandoned:
                Journal(path.parent, start.role, start.key, self.warn).end("KILLED")
