"""`vae-pipeline train`, and how long its loop took: python timed_train.py RECIPE DATA OUT."""

import json
import sys
import time
from pathlib import Path

from rich.console import Console

from vae_pipeline.stages import train as stage
from vae_pipeline.stages.job import Job

began = time.perf_counter()
steps: list[float] = []
shown = stage.Display.step


def step(self, progress) -> None:
    steps.append(time.perf_counter())
    shown(self, progress)


stage.Display.step = step
stage.train(Job.of(Path(sys.argv[1]), 0, Console(quiet=True)), Path(sys.argv[2]), Path(sys.argv[3]))
print(json.dumps({"loop": steps[-1] - steps[0], "command": time.perf_counter() - began}))
