"""The bundle: graphs, golden answers, bundle.json; filled into one folder."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from vae_pipeline import __version__
from vae_pipeline.data.store import Split
from vae_pipeline.export.graphs import GRAPHS, Graph, answers, example_inputs
from vae_pipeline.export.onnx import to_onnx
from vae_pipeline.export.parity import BATCHES, Agreement, Arrays, compare
from vae_pipeline.files import replace_file, write_json
from vae_pipeline.models.vae import VAE
from vae_pipeline.randomness import derive
from vae_pipeline.runtime import FORMAT
from vae_pipeline.spec import DataSpec


@dataclass(frozen=True)
class Provenance:
    """Where a bundle comes from."""

    recipe: str
    """The recipe's name."""
    recipe_sha256: str
    data_sha256: str
    weights_sha256: str
    licence: str


def write_bundle(
    model: VAE,
    spec: DataSpec,
    test: Split,
    metrics: Mapping[str, Any],
    origin: Provenance,
    seed: int,
    folder: Path,
) -> list[Agreement]:
    """Export every graph, run it on real test rows, and write what it answers beside it."""
    model = model.cpu().eval()
    exported = model.frozen().eval()
    described: dict[str, Any] = {}
    rows: list[Agreement] = []
    for graph in GRAPHS:
        file = folder / f"{graph.name}.onnx"
        inputs = _inputs(graph, model, test, 2, seed)
        proto = to_onnx(
            graph.module(exported), inputs, graph.outputs, graph.about, _metadata(graph, spec, model, origin)
        )
        replace_file(file, proto.SerializeToString(deterministic=True))
        for batch in BATCHES:
            inputs = _inputs(graph, model, test, batch, seed)
            given = {name: tensor.numpy() for name, tensor in inputs.items()}
            wanted = {name: tensor.numpy() for name, tensor in answers(graph, model, inputs).items()}
            rows += compare(graph.name, file, given, wanted, spec.high - spec.low)
            if batch == BATCHES[1]:
                golden: Arrays = given | wanted
                np.savez(folder / f"{graph.name}.npz", **golden)  # type: ignore[arg-type]
        described[graph.name] = {
            "about": graph.about,
            "file": file.name,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "golden": f"{graph.name}.npz",
            "inputs": _describe(proto.graph.input),
            "outputs": _describe(proto.graph.output),
        }
    write_json(
        folder / "bundle.json",
        {
            "format": FORMAT,
            "producer": f"vae-pipeline {__version__}",
            "recipe": origin.recipe,
            "licence": origin.licence,
            "recipe_sha256": origin.recipe_sha256,
            "data_sha256": origin.data_sha256,
            "weights_sha256": origin.weights_sha256,
            "latents": model.latents,
            "conditional": bool(model.classes),
            "spec": spec.to_dict(),
            "metrics": {name: value for name, value in metrics.items() if isinstance(value, int | float | str)},
            "graphs": described,
        },
    )
    return rows


def _inputs(graph: Graph, model: VAE, test: Split, batch: int, seed: int) -> dict[str, torch.Tensor]:
    rows = np.arange(batch) % len(test)
    images = torch.from_numpy(test.images[rows])
    labels = None if test.labels is None else torch.from_numpy(test.labels[rows])
    return example_inputs(graph, model, images, labels, derive(seed, "golden", batch))


def _metadata(graph: Graph, spec: DataSpec, model: VAE, origin: Provenance) -> dict[str, str]:
    return {
        "vae.format": str(FORMAT),
        "vae.graph": graph.name,
        "vae.recipe": origin.recipe,
        "vae.licence": origin.licence,
        "vae.recipe_sha256": origin.recipe_sha256,
        "vae.data_sha256": origin.data_sha256,
        "vae.weights_sha256": origin.weights_sha256,
        "vae.latents": str(model.latents),
        "vae.range": f"[{spec.low:g}, {spec.high:g}]",
        "vae.classes": ",".join(spec.classes) if model.classes else "",
        "vae.units": "nats" if graph.name == "score" else "",
    }


def _describe(values: Any) -> dict[str, Any]:
    described = {}
    for value in values:
        kind = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        described[value.name] = {
            "dtype": str(dtype),
            "shape": [side.dim_param or side.dim_value for side in kind.shape.dim],
        }
    return described
