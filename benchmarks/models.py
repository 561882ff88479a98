"""Models that tables train, kept under benchmarks/.models by all that determines their weights.

A run that was stopped goes on, and two tables that need one model train it once.
"""

import json
import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.environments import python
from benchmarks.work import CLI, HERE, ROOT, SINGLE, WORKERS
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.train import sections_of
from vae_pipeline.system.files import content_key
from vae_pipeline.training.checkpoint import run_key

MODELS = HERE / ".models"
HOME = MODELS / "home"
"""VAE_HOME of what is trained for these."""
DRAWS = 5_000
"""K of the bound that peers' models are told by."""
Row = dict[str, Any]


def spent(command: list[object], environment: dict[str, str] | None = None) -> tuple[str, dict[str, float]]:
    """A command's output, and its CPU and wall time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command],
        env=os.environ | {"VAE_MLFLOW_URI": "off"} | (environment or {}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, {"cpu": cpu, "wall": time.perf_counter() - began}


def trained(recipe: Path, data: Path, environment: dict[str, str] | None = None) -> tuple[Path, dict[str, float]]:
    """The recipe's model and what its training took; kept."""
    job = Job.of(recipe, 0, Console(quiet=True))
    out = MODELS / run_key(sections_of(job), Prepared.open(data).digest(), torch.device("cpu"))[:16]
    took = out.with_suffix(".json")
    if not took.is_file():
        _, time_taken = spent([*CLI, "train", recipe, "--data", data, "--out", out], environment)
        took.write_text(json.dumps(time_taken))
    return out, json.loads(took.read_text())


def pythae(recipe: Path, data: Path, images: int = 0) -> tuple[Path, Row]:
    """The figures of the recipe's networks when pythae trains them, and a folder with its new images; kept."""
    return by_others(python("pythae"), "pythae_quality.py", recipe, data, images)


def by_others(interpreter: Path, worker: str, recipe: Path, data: Path, images: int) -> tuple[Path, Row]:
    """The figures of a worker that trains the recipe's networks, and the folder that it fills; kept."""
    out = kept_at(recipe, worker, images)
    found = out / "told.json"
    if not found.is_file():
        out.mkdir(parents=True, exist_ok=True)
        command = [interpreter, WORKERS / worker, recipe, data, out, images, DRAWS]
        printed, _ = spent(command, SINGLE | {"PYTHONPATH": str(ROOT / "src")})
        found.write_text(printed.splitlines()[-1])
    return out, json.loads(found.read_text())


def kept_at(recipe: Path, *of: object) -> Path:
    """The folder of what was found of a recipe; its name depends on the whole source."""
    source = [path.read_text() for path in sorted((ROOT / "src").rglob("*.py"))]
    return MODELS / content_key(recipe.read_text(), source, *of)[:16]


def evaluated(recipe: Path, data: Path, model: Path) -> tuple[Path, Row]:
    """The folder of a report, kept, and its metrics."""
    report = kept_at(recipe, "report", model.name)
    if not report.is_dir():
        spent([*CLI, "eval", recipe, "--data", data, "--model", model, "--out", report])
    return report, json.loads((report / "metrics.json").read_text())
