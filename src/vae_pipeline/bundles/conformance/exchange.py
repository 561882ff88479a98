"""The folder by which a bundle's graphs are asked and answered, by programs in any language.

`tasks.json` is written by us, `answers/GRAPH.json` by the program; a tensor is its type, its shape and its values.

    tasks.json     {"bundle": folder, "tasks": [{"graph", "file", "inputs": description as in bundle.json,
                    "outputs": names, "cases": [{name: tensor}]}]}
    answers/...    {"outputs": [{name: tensor}], "latency_ms": median at the first case}, or {"error": reason}
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.manifest import GraphEntry
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.files import write_json

ROWS = ([0], [0, 1, 2, 0, 1])
"""The golden answers' rows that are asked for: batches of 1 and of 5; of a graph of maps one row turned by 90° too, of
a stream one row in two chunks."""


@dataclass(frozen=True)
class Task:
    """A graph with the inputs that it is asked, and what it should answer."""

    graph: str
    file: str
    described: GraphEntry
    inputs: list[Arrays]
    wanted: list[Arrays]
    sides: dict[str, str] = field(default_factory=dict)
    """Free sides that are multiples of a number, in words that say so, which tract asks for."""


def tasks_of(bundle: Bundle) -> list[Task]:
    """Every graph of a bundle with its golden rows."""
    return [_task(bundle, name, described) for name, described in bundle.manifest.graphs.items()]


def _task(bundle: Bundle, name: str, described: GraphEntry) -> Task:
    golden = bundle.golden(name)

    def parts(names: Iterable[str]) -> list[Arrays]:
        return [{key: golden[key][rows] for key in names} for rows in ROWS]

    inputs, wanted = parts(described.inputs), parts(described.outputs)
    told = bundle.manifest.denoising
    if told is not None and told.stream is not None and name == GraphName.DENOISE_STREAM:
        hop = told.stream.hop
        for piece, answer in _pieces(bundle, hop, inputs[0], wanted[0]):
            inputs.append(piece)
            wanted.append(answer)
        return Task(name, described.file, described, inputs, wanted, {"samples": f"{hop}*hops"})
    if any(isinstance(side, str) for tensor in described.inputs.values() for side in tensor.event):
        turned = {key: np.ascontiguousarray(x.swapaxes(-1, -2)) if x.ndim == 4 else x for key, x in inputs[0].items()}
        inputs.append(turned)  # sides of another length, whose golden answers are onnxruntime's here
        wanted.append(dict(zip(described.outputs, bundle.run(name, turned), strict=True)))
    return Task(name, described.file, described, inputs, wanted)


def _pieces(bundle: Bundle, hop: int, whole: Arrays, answered: Arrays) -> Iterator[tuple[Arrays, Arrays]]:
    """A chunk in two, and the answers that the whole chunk has there; only the state between them is onnxruntime's."""
    state = whole["state"]
    half = whole["chunk"].shape[-1] // hop // 2 * hop
    for some in (slice(None, half), slice(half, None)):
        piece = {"chunk": np.ascontiguousarray(whole["chunk"][..., some]), "state": state}
        state = bundle.run(GraphName.DENOISE_STREAM, piece)[-1]
        yield (
            piece,
            {name: x[..., some] for name, x in answered.items() if name != "next_state"} | {"next_state": state},
        )


def write_tasks(folder: Path, bundle: Path, tasks: Iterable[Task]) -> None:
    """Ask."""
    asked = [
        {
            "graph": task.graph,
            "file": task.file,
            "inputs": {
                name: {"dtype": tensor.dtype, "shape": [task.sides.get(str(side), side) for side in tensor.shape]}
                for name, tensor in task.described.inputs.items()
            },
            "outputs": list(task.described.outputs),
            "cases": [pack(arrays) for arrays in task.inputs],
        }
        for task in tasks
    ]
    write_json(folder / "tasks.json", {"bundle": str(bundle.resolve()), "tasks": asked})


def write_answer(folder: Path, graph: str, answer: dict[str, Any]) -> None:
    """Answer."""
    write_json(folder / "answers" / f"{graph}.json", answer)


def read_answer(folder: Path, graph: str) -> dict[str, Any] | None:
    """The answers; None if there are none."""
    path = folder / "answers" / f"{graph}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def pack(arrays: Arrays) -> dict[str, Any]:
    """Arrays as JSON. A float32 survives it to the last bit; what isn't finite becomes null."""
    return {
        name: {
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "values": [value if np.isfinite(value) else None for value in array.ravel().tolist()],
        }
        for name, array in arrays.items()
    }


def unpack(tensors: dict[str, Any]) -> Arrays:
    """The reverse of `pack`; null is read as NaN."""
    return {
        name: np.array([np.nan if value is None else value for value in tensor["values"]], tensor["dtype"]).reshape(
            tensor["shape"]
        )
        for name, tensor in tensors.items()
    }
