"""The bundle: graphs, golden answers, bundle.json; filled into one folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch

from vae_pipeline.bundles.export.calibration import Calibrated
from vae_pipeline.bundles.export.denoising import Denoising
from vae_pipeline.bundles.export.directions import write_directions
from vae_pipeline.bundles.export.graph import Graph, example_inputs
from vae_pipeline.bundles.export.graphs import graphs_of
from vae_pipeline.bundles.export.parity import (
    BATCHES,
    GOLDEN,
    LARGEST,
    Agreement,
    Arrays,
    Ranking,
    compare,
    ranking,
    run,
)
from vae_pipeline.bundles.export.rounding import clearest
from vae_pipeline.kinds.spec import AudioSpec, DataSpec, ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.directions import Direction
from vae_pipeline.metrics.parts import read
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.runtime.agreement import Units
from vae_pipeline.runtime.formats import FORMAT
from vae_pipeline.runtime.latent_map import LatentMapEntry
from vae_pipeline.runtime.manifest import GraphEntry, Manifest, TensorEntry
from vae_pipeline.runtime.privacy_entry import PrivacyEntry
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.files import replace_file, sha256_of
from vae_pipeline.system.progress import counted
from vae_pipeline.system.typed_json import typed
from vae_pipeline.system.version import __version__

UNITS = {
    "mean": "latent space",
    "log_variance": "log of the latent space's square",
    "x_mean": "the data's",
    "x_clean": "the data's",
    "x_low": "the data's",
    "x_high": "the data's",
    "clean": "the data's",
    "low": "the data's",
    "high": "the data's",
    "negative_elbo": "nats",
    "distortion": "nats",
    "rate": "nats",
    "score": "the detector's",
    "x_drawn": "the data's",
    "present": "1, or 0 where it is missing",
    "p_value": "probability",
    "contributions": "nats",
    "state": "the decoder's, or samples",
    "next_state": "the decoder's, or samples",
    "noise": "standard deviations",
    "z_again": "latent space",
    "log_probability": "nats",
    "tokens": "ids",
}
"""The units of outputs."""
HEADLINES = (
    "measure",
    "elbo",
    "elbo_standard_error",
    "distortion",
    "rate",
    "importance_bound",
    "active_units",
    "auroc",
)
"""The figures in the metadata of every graph: part of its bytes, and so no view of the table of figures."""


@dataclass(frozen=True)
class Provenance:
    """The origin of a bundle."""

    recipe: str
    """The recipe's name."""
    recipe_sha256: str
    data_sha256: str
    weights_sha256: str
    sampler: str
    """The kind, in the recipe, of the sampler that `sample` and `generate` draw from."""
    licence: str
    privacy: PrivacyEntry | None = None


def write_bundle(
    model: VAE,
    spec: DataSpec,
    calibrated: Calibrated | None,
    directions: Sequence[Direction],
    shown: Split,
    metrics: Mapping[str, Any],
    origin: Provenance,
    seed: int,
    folder: Path,
    denoising: Denoising | None = None,
    draws: bool = False,
) -> tuple[list[Agreement], Ranking]:
    """Export every graph, run it on rows, and write them and what it answers beside it; `draws`: of images too."""
    model = model.cpu().eval()
    images: Literal["whole", "real"] | None = None
    if draws:
        images = "whole" if isinstance(spec, ImageSpec) and spec.dtype == "uint8" else "real"
    if shown.corruption is not None:  # the graphs are given what the model is
        assert isinstance(spec, ImageSpec | AudioSpec)  # a recipe says so
        spec = replace(spec, dtype="float32", noisy=True)
    frozen = model.frozen().eval()
    detector = None if calibrated is None else calibrated.detector
    denoiser = None if denoising is None else denoising.denoiser
    units = Units(spec) if detector is None else Units(spec, detector.kind, detector.told)
    measured = {name: value for name, value in metrics.items() if isinstance(value, int | float | str)}
    measured["failed_gates"] = ", ".join(metrics["failed_gates"])
    described: dict[str, GraphEntry] = {}
    protos: dict[str, onnx.ModelProto] = {}
    asked: dict[str, dict[int, _Asked]] = {}
    shown = clearest(model, shown)
    for graph in counted("graphs", graphs_of(model, detector, denoiser, images)):
        file, golden = folder / f"{graph.name}.onnx", folder / f"{graph.name}.npz"
        told = _metadata(graph, spec, model, measured, origin)
        proto = graph.proto(frozen, _inputs(graph, model, shown, 2, seed), protos, told)
        replace_file(file, proto.SerializeToString(deterministic=True))
        protos[graph.name] = proto
        asked[graph.name] = {
            batch: _ask(graph, model, file, _inputs(graph, model, shown, batch, seed)) for batch in BATCHES
        }
        kept = asked[graph.name][GOLDEN]
        np.savez(golden, **kept.given, **kept.wanted)  # type: ignore[arg-type]
        described[graph.name] = GraphEntry(
            about=graph.about,
            file=file.name,
            sha256=sha256_of(file),
            golden=golden.name,
            golden_sha256=sha256_of(golden),
            inputs=_describe(proto.graph.input),
            outputs=_describe(proto.graph.output),
        )
    manifest = Manifest(
        format=FORMAT,
        producer=f"vae-pipeline {__version__}",
        recipe=origin.recipe,
        licence=origin.licence,
        recipe_sha256=origin.recipe_sha256,
        data_sha256=origin.data_sha256,
        weights_sha256=origin.weights_sha256,
        latents=model.latents,
        sampler=origin.sampler,
        conditional=bool(model.classes),
        detection=None if calibrated is None else calibrated.write(folder),
        spec=spec,
        units=UNITS,
        metrics=measured,
        graphs=described,
        latent_map=None if metrics.get("latent_map") is None else typed(LatentMapEntry, metrics["latent_map"]),
        directions=write_directions(directions, folder) if directions else None,
        denoising=None if denoising is None else denoising.entry(),
        levels=model.levels if len(model.levels) > 1 else (),
        privacy=origin.privacy,
    )
    manifest.save(folder)
    rows = [
        row
        for name, batches in asked.items()
        for each in batches.values()
        for row in compare(name, each.found, each.wanted, units)
    ]
    scores = asked[GraphName.SCORE][LARGEST]
    return rows, ranking(scores.found["negative_elbo"], scores.wanted["negative_elbo"])


@dataclass(frozen=True)
class _Asked:
    """A batch of real rows: the inputs, what onnxruntime answered, and what the model did."""

    given: Arrays
    found: Arrays
    wanted: Arrays


def _ask(graph: Graph, model: VAE, file: Path, inputs: Mapping[str, torch.Tensor]) -> _Asked:
    given = {name: tensor.numpy() for name, tensor in inputs.items()}
    found = run(file, given, graph.signature.outputs)
    wanted = {name: tensor.numpy() for name, tensor in graph.answers(model, inputs, found).items()}
    return _Asked(given, found, wanted)


def _inputs(graph: Graph, model: VAE, test: Split, batch: int, seed: int) -> dict[str, torch.Tensor]:
    rows = np.arange(batch) % len(test)
    found = read(test, rows, torch.device("cpu"))
    return example_inputs(graph, model, found.x, found.label, derive(seed, "golden", batch))


def _metadata(
    graph: Graph, spec: DataSpec, model: VAE, measured: Mapping[str, Any], origin: Provenance
) -> dict[str, str]:
    """Facts of bundle.json, for whoever has this one file; lists and mappings as JSON."""
    return {
        "vae.format": str(FORMAT),
        "vae.graph": graph.name,
        "vae.recipe": origin.recipe,
        "vae.licence": origin.licence,
        "vae.recipe_sha256": origin.recipe_sha256,
        "vae.data_sha256": origin.data_sha256,
        "vae.weights_sha256": origin.weights_sha256,
        "vae.latents": str(model.latents),
        "vae.sampler": origin.sampler,
        **({} if origin.privacy is None else {"vae.privacy": json.dumps(origin.privacy.told)}),
        **{name: json.dumps(value) for name, value in spec.metadata().items()},
        "vae.classes": json.dumps(spec.classes if model.classes else []),
        "vae.units": json.dumps({name: UNITS[name] for name in graph.signature.outputs}),
        "vae.metrics": json.dumps({name: measured[name] for name in HEADLINES if name in measured}),
    }


def _describe(values: Any) -> dict[str, TensorEntry]:
    described = {}
    for value in values:
        kind = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        shape = tuple(side.dim_param or side.dim_value for side in kind.shape.dim)
        described[value.name] = TensorEntry(str(dtype), shape)
    return described
