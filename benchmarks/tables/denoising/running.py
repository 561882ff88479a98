"""Processes of denoisers: peers in an environment of their own, ours in this one; each on one thread."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.environments import python
from benchmarks.work import SINGLE, WORKERS

OURS = "ours"
Row = dict[str, Any]


def told_by(method: str, worker: str, *arguments: object) -> list[Row]:
    """The rows that a worker of a method prints, each a line of JSON."""
    interpreter = Path(sys.executable) if method == OURS else python("denoisers")
    command = [str(part) for part in (interpreter, WORKERS / worker, *arguments)]
    done = subprocess.run(command, env=os.environ | SINGLE, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
