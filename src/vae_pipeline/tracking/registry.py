"""MLflow's registry of models: a bundle put there under its recipe's name, and fetched by its address.

A version is an MLflow model of the graph `reconstruct` (of text `greedy`), by which `mlflow models serve` answers; the
whole bundle lies beside it, in `bundle/`.
"""

import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vae_pipeline.errors import BundleError
from vae_pipeline.files import content_key
from vae_pipeline.settings import Settings
from vae_pipeline.tracking.connection import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CANDIDATE = "candidate"
"""Alias of the version that was exported last."""
FOLDER = "bundle"
ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


def log_bundle(client: "MlflowClient", run_id: str, bundle: Path, name: str | None, aliases: Sequence[str]) -> None:
    """Log the bundle as an MLflow model of a run, with signature and input example; register it if `name` is given."""
    import mlflow  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import onnx  # noqa: PLC0415

    graphs = json.loads((bundle / "bundle.json").read_text())["graphs"]
    graph = graphs.get("reconstruct") or graphs["greedy"]
    with np.load(bundle / graph["golden"], allow_pickle=False) as golden:
        inputs = {name: golden[name] for name in graph["inputs"]}
        outputs = {name: golden[name] for name in graph["outputs"]}
    before = client.get_run(run_id).info
    with mlflow.start_run(run_id=run_id, log_system_metrics=False):
        model = mlflow.onnx.log_model(
            onnx.load(bundle / graph["file"]),
            name="model",
            signature=mlflow.models.infer_signature(inputs, outputs),
            input_example=inputs,
            pip_requirements=["mlflow", "onnxruntime", "numpy"],
        )
    # The run ended when training did.
    client.set_terminated(run_id, before.status, before.end_time)
    client.log_model_artifacts(model.model_id, str(bundle), FOLDER)
    if name is not None:
        version = mlflow.register_model(f"models:/{model.model_id}", name).version
        for alias in aliases:
            client.set_registered_model_alias(name, alias, version)


def fetch_bundle(address: str, settings: Settings) -> Path:
    """The folder of a registered bundle, `models:/NAME@ALIAS` or `models:/NAME/VERSION`; kept in `settings.home`.

    Raises:
        BundleError: the address is none, or MLflow doesn't have the bundle or can't be reached.
    """
    named = ADDRESS.fullmatch(address)
    if named is None:
        raise BundleError(f"{address} is no address of a model: wanted models:/NAME@ALIAS or models:/NAME/VERSION")
    if settings.mlflow_uri.lower() == "off":
        raise BundleError(f"{address} would be sought in MLflow, but VAE_MLFLOW_URI is off: name a tracking server")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = _version(connect(settings.mlflow_uri), named)
            which = (settings.mlflow_uri, version.name, version.version, version.creation_timestamp)
            return _fetched(version, settings.home / "bundles" / content_key(*which))
    except Exception as error:  # MLflow's, its stores' and its transports' share no narrower root
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise BundleError(f"{address} can't be had from MLflow at {settings.mlflow_uri} ({reason})") from error


def _version(client: "MlflowClient", named: re.Match[str]) -> "ModelVersion":
    if named["alias"] is not None:
        return client.get_model_version_by_alias(named["name"], named["alias"])
    return client.get_model_version(named["name"], named["version"])


def _fetched(version: "ModelVersion", kept: Path) -> Path:
    """A version never changes, so that it is fetched once."""
    import mlflow  # noqa: PLC0415

    if not kept.is_dir():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            address = f"models:/{version.name}/{version.version}/{FOLDER}"
            found = mlflow.artifacts.download_artifacts(address, dst_path=folder)
            shutil.move(found, kept)
    return kept
