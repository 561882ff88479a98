"""A worker answers each line of its input with the seconds that one unit of work took."""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path


def serve(unit: Callable[[], object]) -> None:
    """Run `unit` once to warm up, then once for each line."""
    unit()
    print("ready", flush=True)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        unit()
        took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        print(json.dumps({**took, "peak_mib": peak_mib()}), flush=True)


def peak_mib() -> float:
    """The most memory that this program has held; `ru_maxrss` would count that of the program that started it too."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
