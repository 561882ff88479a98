"""The record of a lane, which proves that a change leaves numbers alone.

The curve and each graph's structure are compared wherever the tests run: the curve to 1e-4, the structure by a digest
of the graph without the values of its weights. Weights, metrics and whole graphs are the same to the last bit only
where the same libraries compute on the same kind of processor, so that their digests are compared there alone.
"""

import hashlib
import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import scipy
import sklearn
import torch
from torch import nn

from tests.lanes import Lane

FOLDER = Path(__file__).parent
EXACT = FOLDER / "digests.json"


def arithmetic() -> dict[str, str]:
    """All that the last bit of a sum may depend on."""
    told = dict(line.split("\t", 1) for line in _processor() if "\t" in line)
    told = {name.strip(): value.lstrip("\t: ") for name, value in told.items()}
    named = [told[name] for name in ("model name", "cpu family", "model", "stepping") if name in told]
    vectors = [flag for flag in told.get("flags", "").split() if flag.startswith(("avx", "fma", "amx"))]
    return {
        "processor": " ".join(named) or platform.processor() or platform.machine(),
        "instructions": " ".join([torch.backends.cpu.get_cpu_capability(), *sorted(vectors)]),
        "cores": str(os.cpu_count()),
        "threads": os.environ.get("OMP_NUM_THREADS", "not said"),
        "libraries": ", ".join(
            f"{library.__name__} {library.__version__}" for library in (torch, np, scipy, sklearn, onnx, onnxruntime)
        ),
        "sums": _sums(),
    }


def _sums() -> str:
    """A digest of products, sums and exponentials: processors of one name may differ in them."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(64, 4, 16, 16, generator=draw)
    images = nn.functional.conv2d(x, torch.randn(8, 4, 3, 3, generator=draw), stride=2)
    rows = images.flatten(1)
    found = [images, rows @ rows.T, rows.exp(), rows.sigmoid().log(), rows.double().T @ rows.double(), rows.sum(0)]
    return hashlib.sha256(b"".join(each.numpy().tobytes() for each in found)).hexdigest()[:16]


def _processor() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def digests(lane: Lane) -> dict[str, Any]:
    """The digests of a lane, by what they may be compared on."""
    graphs = sorted(lane.bundle.glob("*.onnx"))
    bits = [lane.model / "weights.safetensors", lane.report / "metrics.json", *graphs]
    return {
        "bits": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in bits},
        "structure": {path.stem: structure(onnx.load(path)) for path in graphs},
    }


def structure(model: onnx.ModelProto) -> str:
    """A digest of all of a graph but the values of its weights and what it says of itself."""
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")
    del model.metadata_props[:]
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def write(lanes: dict[str, Lane]) -> None:
    """Keep the curves and digests of all lanes."""
    for name, lane in lanes.items():
        (FOLDER / f"{name}.csv").write_bytes((lane.model / "history.csv").read_bytes())
    kept = {"arithmetic": arithmetic(), "lanes": {name: digests(lane) for name, lane in lanes.items()}}
    EXACT.write_text(json.dumps(kept, indent=2) + "\n")
