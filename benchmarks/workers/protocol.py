"""A worker answers each line of its input with the seconds that one unit of work took."""

import json
import resource
import sys
import time
from collections.abc import Callable


def serve(unit: Callable[[], object]) -> None:
    """Run `unit` once to warm up, then once for each line."""
    unit()
    print("ready", flush=True)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        unit()
        took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({**took, "peak_mib": peak / 1024}), flush=True)
