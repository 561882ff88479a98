"""The decoder's graph in onnxruntime beside torch: python decoding.py RECIPE DATA -> microseconds a call.

They take turns, of 20 calls, as a server makes them, and of one, where each finds that the other has emptied the cache.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import onnxruntime
import torch

from vae_pipeline.bundles.export.graph import example_inputs
from vae_pipeline.bundles.export.graphs import DecoderGraph
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.models.build import build
from vae_pipeline.recipe import Recipe

CALLS = 1000
CASES = (("one", 1, 20), ("one, cold", 1, 1), ("64", 64, 20))  # name, batch, calls a turn

torch.set_num_threads(1)
recipe, prepared = Recipe.load(Path(sys.argv[1])), Prepared.open(Path(sys.argv[2]))
torch.manual_seed(0)
model = build(recipe.model, prepared.spec).eval().frozen().eval()
graph = DecoderGraph()
module = graph.module(model)
inputs = example_inputs(graph, model, torch.from_numpy(prepared.test.x[:2]), None, 0)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
proto = graph.proto(model, inputs, {}, {"vae.graph": graph.name})
session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


@torch.inference_mode()
def by_torch(z: torch.Tensor) -> object:
    return module(z)


def by_onnxruntime(z: torch.Tensor) -> object:
    return session.run(["x_mean"], {"z": z.numpy()})


found = {}
for case, batch, turn in CASES:
    z = torch.randn(batch, model.latents)
    ways = {f"onnxruntime, {case}": by_onnxruntime, f"torch, {case}": by_torch}
    took: dict[str, dict[str, list[float]]] = {name: {"cpu": [], "wall": []} for name in ways}
    for _ in range(CALLS // turn):
        for name, run in ways.items():
            for _ in range(turn):
                cpu, wall = time.process_time(), time.perf_counter()
                run(z)
                took[name]["cpu"].append(time.process_time() - cpu)
                took[name]["wall"].append(time.perf_counter() - wall)
    for name, keys in took.items():
        found[name] = {key: 1e6 * statistics.median(values) for key, values in keys.items()}
print(json.dumps(found))
