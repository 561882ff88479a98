"""A client of MLflow that doesn't wait long for a server, and keeps quiet."""

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Unset, MLflow tries a dead server for four minutes, and one that hangs for twenty.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}


def connect(uri: str) -> "MlflowClient":
    """A client of the tracking server at `uri`, which MLflow's own functions use from here on, too."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: PLC0415 (2.6 s of CPU: only for those who track)

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient(uri)
