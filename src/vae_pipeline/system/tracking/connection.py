"""A client of MLflow that doesn't wait long for a server, and keeps quiet."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from vae_pipeline.system.redaction import redacted
from vae_pipeline.system.settings import Settings, sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Unset, MLflow tries a dead server for four minutes, and one that hangs for twenty.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def connect(uri: str) -> "MlflowClient":
    """A client of the tracking server at `uri`, which MLflow's own functions use from here on, too.

    It sends nothing twice by itself: whether a request whose answer was lost did arrive is found out by asking.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    import mlflow  # noqa: PLC0415 (2.6 s of CPU: only for those who track)

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient(uri)


def experiment(client: "MlflowClient", settings: Settings) -> str:
    """The id of the experiment of all runs, created if need be."""
    known = client.get_experiment_by_name(settings.mlflow_experiment)
    if known is not None:
        return str(known.experiment_id)
    location, database = settings.mlflow_artifacts, sqlite_path(settings.mlflow_uri)
    if location is None and database is not None:
        # Absolute: MLflow's own default is relative to the folder of whoever came first.
        location = (database.absolute().parent / "mlartifacts").as_uri()
    return str(client.create_experiment(settings.mlflow_experiment, artifact_location=location))


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Let one process in at a time: what two of them look for and don't find, both would create."""
    (home / "tracking").mkdir(parents=True, exist_ok=True)
    with FileLock(home / "tracking" / "mlflow.lock"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def reason(error: Exception) -> str:
    """The first line of what MLflow, its stores and its transports say, without secrets."""
    return redacted(str(error).splitlines()[0])[:200] if str(error).strip() else type(error).__name__
