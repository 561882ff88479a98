"""`vae-pipeline train`, and how long its loop took: python timed_train.py RECIPE DATA OUT."""

import json
import sys
import time
from pathlib import Path

from rich.console import Console

from vae_pipeline.stages.display import Display
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.train import train

began = time.perf_counter()
steps: list[float] = []
shown = Display.step


def step(self, progress) -> None:
    steps.append(time.perf_counter())
    shown(self, progress)


Display.step = step
train(Job.of(Path(sys.argv[1]), 0, Console(quiet=True)), Path(sys.argv[2]), Path(sys.argv[3]))
print(json.dumps({"loop": steps[-1] - steps[0], "command": time.perf_counter() - began}))
