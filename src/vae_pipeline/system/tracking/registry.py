"""MLflow's registry of models: a bundle put there under its recipe's name, and fetched by its address.

A version is an MLflow model of one graph, by which `mlflow models serve` answers; the whole bundle lies beside it, in
`bundle/`.
"""

import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vae_pipeline.system.errors import BundleError
from vae_pipeline.system.files import content_key
from vae_pipeline.system.settings import Settings
from vae_pipeline.system.tracking.connection import connect, reason
from vae_pipeline.system.tracking.journal import Registration

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CANDIDATE = "candidate"
"""Alias of the version that was exported last."""
FOLDER = "bundle"
SERVED = ("detect", "reconstruct", "greedy")
"""The graph that MLflow serves is the first of these that the bundle has."""
ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


def log_bundle(
    client: "MlflowClient", experiment: str, run_id: str, digest: str, bundle: Path, wanted: Registration
) -> None:
    """Log the bundle as an MLflow model of a run, known by its digest; register it if a name is wanted.

    A model and a version that are there already are taken up where an earlier pass ended.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus  # noqa: PLC0415

    found = client.search_logged_models([experiment], f"tags.`vae.bundle` = '{digest}'", max_results=1)
    model = (
        found[0]
        if found
        else client.create_logged_model(experiment, "model", source_run_id=run_id, tags={"vae.bundle": digest})
    )
    outputs = client.get_run(run_id).outputs
    if model.model_id not in [output.model_id for output in (outputs.model_outputs if outputs else [])]:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    if model.status != LoggedModelStatus.READY:
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder, "model")
            _save_model(bundle, saved, run_id, model.model_id)
            client.log_model_artifacts(model.model_id, str(saved))
        client.log_model_artifacts(model.model_id, str(bundle), FOLDER)
        client.finalize_logged_model(model.model_id, "READY")
    if wanted.name is not None:
        version = _registered(client, wanted.name, model.model_id, run_id)
        for alias in wanted.aliases:
            client.set_registered_model_alias(wanted.name, alias, version)


def _save_model(bundle: Path, folder: Path, run_id: str, model_id: str) -> None:
    """The graph by which MLflow serves: of a detector `detect`, else `reconstruct`, and of text `greedy`."""
    import mlflow  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import onnx  # noqa: PLC0415

    graphs = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["graphs"]
    graph = next(graphs[name] for name in SERVED if name in graphs)
    with np.load(bundle / graph["golden"], allow_pickle=False) as golden:
        inputs = {name: golden[name] for name in graph["inputs"]}
        outputs = {name: golden[name] for name in graph["outputs"]}
    mlflow.onnx.save_model(
        onnx.load(bundle / graph["file"]),
        folder,
        mlflow_model=mlflow.models.Model(run_id=run_id, model_id=model_id, model_uuid=model_id),
        signature=mlflow.models.infer_signature(inputs, outputs),
        input_example=inputs,
        save_as_external_data=False,  # its file would have another name in each pass, and the last one's would stay
        pip_requirements=["mlflow", "onnxruntime", "numpy"],
    )


def _registered(client: "MlflowClient", name: str, model_id: str, run_id: str) -> str:
    """The version of the registered model `name` that is this model."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get("vae.model") == model_id:
            return str(version.version)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
            raise
    address, tags = f"models:/{model_id}", {"vae.model": model_id}
    return str(client.create_model_version(name, address, run_id, tags=tags, model_id=model_id).version)


def aliases_of(promote: str | None, failed_gates: object, warn: Callable[[str], None]) -> list[str]:
    """The aliases that move to a bundle: the candidate's, and that of `promote` unless a gate failed, which is said.

    `failed_gates` are their names with commas between them; None in a bundle of an older version.
    """
    if promote is None or failed_gates == "":
        return [CANDIDATE, *([] if promote is None else [promote])]
    unknown = "it doesn't say whether its gates held: export it again"
    why = unknown if failed_gates is None else f"gates failed: {failed_gates}"
    warn(f"VAE_MLFLOW_PROMOTE={promote}: the alias doesn't move to this model ({why})")
    return [CANDIDATE]


def require_address(address: str, settings: Settings) -> re.Match[str]:
    """The parts of a bundle's address.

    Raises:
        BundleError: it is none, or there is no tracking server.
    """
    named = ADDRESS.fullmatch(address)
    if named is None:
        raise BundleError(f"{address} is no address of a model: wanted models:/NAME@ALIAS or models:/NAME/VERSION")
    if settings.mlflow_uri.lower() == "off":
        raise BundleError(f"{address} would be sought in MLflow, but VAE_MLFLOW_URI is off: name a tracking server")
    return named


def fetched(address: str, settings: Settings) -> Path:
    """The folder of a registered bundle, kept in `settings.home`; `tracker.fetch_bundle` bounds the wait for it.

    Raises:
        BundleError: MLflow doesn't have the bundle or can't be reached.
    """
    named = require_address(address, settings)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = _version(connect(settings.mlflow_uri), named)
            which = (settings.mlflow_uri, version.name, version.version, version.creation_timestamp)
            return _fetched(version, settings.home / "bundles" / content_key(*which))
    except Exception as error:  # MLflow's, its stores' and its transports' share no narrower root
        raise BundleError(f"{address} can't be had from MLflow at {settings.mlflow_uri} ({reason(error)})") from error


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
