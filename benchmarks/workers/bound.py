"""The importance bound beside the loop that one would write: python bound.py RECIPE DATA -> seconds an image."""

import json
import math
import sys
import time
from pathlib import Path

import torch

from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.importance import importance_bound
from vae_pipeline.models.build import build
from vae_pipeline.recipe import Recipe

SAMPLES = 5000
LOOPED = 500  # of the loop's 5000 passes, each of which does the same

torch.set_num_threads(1)
recipe, prepared = Recipe.load(Path(sys.argv[1])), Prepared.open(Path(sys.argv[2]))
torch.manual_seed(0)
model = build(recipe.model, prepared.spec).eval()
images = prepared.test.x[:64]


@torch.no_grad()
def loop(image: torch.Tensor) -> float:
    weights = []
    for _ in range(LOOPED):
        weights.append(model(image).log_weight().reshape(()))
    return float(torch.stack(weights).logsumexp(0) - math.log(LOOPED))


def timed(run, images_done: int, scale: float = 1.0) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    run()
    each = scale / images_done
    return {"cpu": (time.process_time() - cpu) * each, "wall": (time.perf_counter() - wall) * each}


first = torch.from_numpy(images[:1])
loop(first)
importance_bound(model, Split(images[:2], None), SAMPLES, 0, torch.device("cpu"))
ours = timed(lambda: importance_bound(model, Split(images, None), SAMPLES, 0, torch.device("cpu")), len(images))
looped = timed(lambda: [loop(first) for _ in range(3)], 3, SAMPLES / LOOPED)
print(json.dumps({"vae-pipeline": ours, "loop over K": looped}))
