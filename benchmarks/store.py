"""The store of results: benchmarks/results/TABLE.json, a section after the other, each with its date and machine."""

import datetime
import json
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

import torch

from vae_pipeline.system.files import replace_file

RESULTS = Path(__file__).parent / "results"
Kept = dict[str, dict[str, Any]]
"""A section's `date`, `machine` and `rows`, by its name."""


class Store:
    """The results of one table."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, table: str) -> "Store":
        """The results that the repository keeps of a table."""
        return cls(RESULTS / f"{table}.json")

    def read(self) -> Kept:
        """All sections; empty if nothing was stored yet."""
        return json.loads(self.path.read_text()) if self.path.is_file() else {}

    def rows(self, section: str) -> dict[str, Any]:
        """The rows of a section; empty if it wasn't stored yet."""
        return dict(self.read().get(section, {}).get("rows", {}))

    def keep(self, section: str, rows: dict[str, Any]) -> None:
        """Put rows in the place of a section's; other sections stay, each with its date."""
        kept = self.read() | {section: {"date": today(), "machine": machine(), "rows": rows}}
        replace_file(self.path, f"{json.dumps(kept, indent=1)}\n".encode())


def today() -> str:
    """The date, as ISO 8601 has it."""
    return datetime.date.today().isoformat()


@cache
def machine() -> str:
    """The processor, its vector instructions and cores, the version of Python, and the GPU."""
    told = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in told if "model name" in line), "")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    chip = f"{model or platform.processor()} with {torch.backends.cpu.get_cpu_capability()}"
    return f"{chip}, {os.cpu_count()} cores, Python {platform.python_version()}, {gpu}"
