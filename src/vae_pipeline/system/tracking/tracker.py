"""The tracker sends journals to MLflow, and keeps those that it can't send.

The tracker raises nothing but Interrupted: what it can't send it says once, and leaves the journal for `sync`.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vae_pipeline.system.errors import BundleError, Interrupted
from vae_pipeline.system.redaction import redacted
from vae_pipeline.system.settings import Settings
from vae_pipeline.system.stopping import Stopped
from vae_pipeline.system.tracking.courier import Courier
from vae_pipeline.system.tracking.journal import Journal, Role
from vae_pipeline.system.tracking.registry import require_address
from vae_pipeline.system.tracking.sender import LATER

AFTER_A_SIGNAL_S = 2.0  # whoever ends a run doesn't wait long for its record


class Tracker:
    """Sends journals; `warn` is told, once, if that can't be done."""

    def __init__(self, settings: Settings, warn: Callable[[str], None]) -> None:
        self.settings, self.warn = settings, warn
        self.folder = settings.home / "tracking"
        self.on = settings.mlflow_uri.lower() != "off"

    def journal(self, role: Role, key: str) -> Journal:
        """The journal of a stage's run."""
        return Journal(self.folder, role, key, self.warn, self.on)

    def send(self, journal: Journal) -> bool:
        """Send a journal that has ended, and delete it once all is sent; whether it is."""
        with self.sending() as send:
            return send(journal)

    @contextmanager
    def sending(self) -> Iterator[Callable[[Journal], bool]]:
        """Inside the block MLflow is imported beside the work, so that `send` of the journal at its end waits less."""
        if not self.on:
            yield lambda _: True
            return
        with Courier(self.settings, "send", "", self._hear) as courier:

            def send(journal: Journal) -> bool:
                if journal.on and journal.path.is_file():
                    courier.give(str(journal.path))
                    self._finish(courier)
                return not journal.path.is_file()

            yield send

    @contextmanager
    def followed(self, journal: Journal) -> Iterator[None]:
        """Inside the block, what is written into the journal is sent; leaving it waits until all is.

        The training loop never waits for a tracker, nor shares Python with MLflow.
        """
        if not journal.on:
            yield
            return
        with Courier(self.settings, "follow", str(journal.path), self._hear) as courier:
            try:
                yield
            except (Interrupted, Stopped):
                courier.finish(AFTER_A_SIGNAL_S)
                raise
            except BaseException:
                self._finish(courier)
                raise
            self._finish(courier)

    def sync(self) -> tuple[int, int, int]:
        """Send every journal that waits; the numbers of those sent, of those that wait on, and of damaged ones."""
        waiting = list(self.folder.glob("*.jsonl"))
        if not self.on or not waiting:
            return 0, len(waiting), 0
        told: list[str] = []

        def hear(kind: str, text: str) -> None:
            told.append(kind)
            self._hear(kind, text)

        with Courier(self.settings, "sync", "", hear) as courier:
            self._finish(courier)
        left = sum(path.is_file() for path in waiting)
        damaged = told.count("damaged")
        return len(waiting) - left - damaged, left, damaged

    def _finish(self, courier: Courier) -> None:
        shown, wait_s = redacted(self.settings.mlflow_uri), self.settings.mlflow_wait_s
        try:
            code = courier.finish()
        except Stopped as stopped:
            raise Interrupted(
                f"{stopped} while MLflow at {shown} was waited for; all else is done, and {LATER}"
            ) from None
        if code is None:
            self.warn(
                f"MLflow at {shown} didn't take all within {wait_s:g} s; the run goes on, and {LATER} "
                "(VAE_MLFLOW_WAIT_S is how long it is waited for)"
            )
        elif code:
            self.warn(f"what sends the record ended with exit code {code}; {LATER}")

    def _hear(self, kind: str, text: str) -> None:
        if kind == "warning":
            self.warn(text)


def fetch_bundle(address: str, settings: Settings) -> Path:
    """The folder of a registered bundle, `models:/NAME@ALIAS` or `models:/NAME/VERSION`; kept in `settings.home`.

    Raises:
        BundleError: the address is none, or MLflow doesn't have the bundle or can't be reached.
    """
    require_address(address, settings)
    told: dict[str, str] = {}
    with Courier(settings, "fetch", address, told.__setitem__) as courier:
        code = courier.finish()
    if "fetched" in told:
        return Path(told["fetched"])
    late = f"it didn't answer within {settings.mlflow_wait_s:g} s: VAE_MLFLOW_WAIT_S is how long it is waited for"
    why = late if code is None else f"the process that asks ended with exit code {code}"
    raise BundleError(told.get("refused") or f"{address} can't be had from MLflow at {settings.mlflow_uri} ({why})")


def provenance(recipe: str) -> dict[str, str]:
    """Tags of a run: the recipe's name and, in a git work tree, the commit."""
    tags = {"vae.recipe": recipe}
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return tags
    return tags | {"mlflow.source.git.commit": found.stdout.strip()}
