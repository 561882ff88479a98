"""MLflow's own pages, at the table of our runs."""

import os
import sys
from collections.abc import Callable

from vae_pipeline.system.errors import SettingsError
from vae_pipeline.system.redaction import redacted
from vae_pipeline.system.settings import Settings
from vae_pipeline.system.tracking.connection import PATIENCE, alone, connect, experiment


def serve(settings: Settings, port: int, say: Callable[[str], None]) -> None:
    """Say where the runs are; of a local store, start MLflow's server in the place of this process.

    Raises:
        SettingsError: nothing is recorded.
    """
    uri = settings.mlflow_uri
    if uri.lower() == "off":
        raise SettingsError("VAE_MLFLOW_URI=off: nothing is recorded, so that there is nothing to show")
    if uri.startswith(("http://", "https://")):
        say(f"the runs are on MLflow's server: {redacted(uri)}")
        return
    with alone(settings.home):
        runs = experiment(connect(uri), settings)
    say(f"runs: http://127.0.0.1:{port}/#/experiments/{runs}/runs (Ctrl-C ends)")
    environment = {**os.environ, **PATIENCE, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--backend-store-uri", uri, "--port", str(port)]
    os.execve(sys.executable, command, environment)
