"""Scratch space and commands, which the tables share."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parent
WORKERS = HERE / "workers"
SINGLE = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "VAE_THREADS": "1",
    "VAE_MLFLOW_URI": "off",
    "PYTHONDONTWRITEBYTECODE": "",  # else each process compiles what it imports, torch in 1.5 s
}
PIN = ["taskset", "-c", str(max(os.sched_getaffinity(0)))]
CLI = [sys.executable, "-m", "vae_pipeline"]


@dataclass
class Work:
    """Scratch space, and prepared data, which are made once."""

    folder: Path
    rounds: int = 1

    def prepared(self, recipe: str) -> Path:
        out = self.folder / "prepared" / recipe
        if not out.is_dir():
            path = ROOT / "pipeline" / f"{recipe}.yaml"
            subprocess.run([*CLI, "prepare", path, "--out", out], check=True, stdout=sys.stderr)
        return out

    def recipe(self, name: str, changes: dict[str, Any]) -> Path:
        """A copy with other values, each named by its path: {"train.epochs": 5}."""
        values = yaml.safe_load((ROOT / "pipeline" / f"{name}.yaml").read_text())
        for place, value in changes.items():
            *sections, last = place.split(".")
            holder = values
            for section in sections:
                holder = holder[section]
            holder[last] = value
        path = self.folder / f"{name}-{len(list(self.folder.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return path
