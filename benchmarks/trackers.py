"""Trackers that fail, and the commands that record there: what a stall costs, and what a cut loses or doubles.

    python -m benchmarks.trackers stalls
    python -m benchmarks.trackers cuts --stage train --stage eval --stage export

`stalls` times `eval` and `sync` as commands, beside trackers that stall in each way of tests/tracking/stalls.py. `cuts`
runs each stage once whole, by MLflow's own server, and then twice for each request that writes: the connection dies
there, before the request is delivered or before its answer is, and stays dead. After `sync` the server must hold what
the whole run left.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.tracking.server import Proxy, mlflow_server, proxy_to
from tests.tracking.stalls import STALLS, stalling
from tests.tracking.test_lost_connections import held

ROOT = Path(__file__).parent.parent
STAGES = {
    "prepare": ["--out", "data"],
    "train": ["--data", "data", "--out", "model"],
    "eval": ["--data", "data", "--model", "model", "--out", "report"],
    "export": ["--data", "data", "--model", "model", "--report", "report", "--out", "bundle"],
}
TIMES = ("_s", "per_second")
"""Ends of the names of figures that differ from run to run."""


def command(work: Path, name: str, **settings: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """How long a command took, and what it said."""
    recipe = [] if name == "sync" else [ROOT / "pipeline" / "smoke.yaml", *STAGES[name]]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "vae_pipeline", name, *map(str, recipe)],
        cwd=work, capture_output=True, text=True, env=os.environ | {"VAE_THREADS": "1"} | settings, check=False,
    )  # fmt: skip
    return time.monotonic() - began, done


def stalls(work: Path) -> bool:
    """Time them, and say whether all was well."""
    alone, _ = command(work, "eval", VAE_MLFLOW_URI="off", VAE_HOME=str(work / "off"))
    print(f"eval without a tracker: {alone:.1f} s", flush=True)
    well = True
    for name, stall in STALLS.items():
        with stalling(stall) as uri:
            settings = {"VAE_MLFLOW_URI": uri, "VAE_HOME": str(work / name.replace(" ", "_"))}
            for stage in ("eval", "sync"):
                took, done = command(work, stage, **settings)
                said = [line for line in done.stderr.splitlines() + done.stdout.splitlines() if "MLflow" in line]
                lost = took - alone if stage == "eval" else took
                print(
                    f"{name}: {stage} {took:.1f} s ({lost:.1f} lost), exit code {done.returncode}: {said[:1]}",
                    flush=True,
                )
                well &= lost < 30 and done.returncode == (0 if stage == "eval" else done.returncode)
    return well


def cuts(work: Path, server: int, proxy: Proxy, stage: str, every: int) -> bool:
    """Cut each request of a stage that writes, once to either side of the server."""

    def recorded(number: int | None, where: Any) -> dict[str, Any]:
        proxy.live()
        name = f"{stage}-{number}-{where}"
        settings = {"VAE_MLFLOW_URI": proxy.url, "VAE_HOME": str(work / name), "VAE_MLFLOW_EXPERIMENT": name,
                    "VAE_MLFLOW_REGISTRY": "true"}  # fmt: skip
        if number is not None:
            proxy.die(number, where)
        _, done = command(work, stage, **settings)
        assert done.returncode == 0, done.stderr
        if number is not None:
            proxy.live()
            _, synced = command(work, "sync", **settings)
            assert synced.returncode == 0, synced.stderr
        return without_times(
            held(SimpleNamespace(job=SimpleNamespace(settings=SimpleNamespace(mlflow_experiment=name))), server)
        )

    wanted = recorded(None, "whole")
    requests = list(proxy.seen)
    writes = [number for number, (method, path) in enumerate(requests) if method != "GET" and "search" not in path]
    print(f"{stage}: {len(requests)} requests, {len(writes)} of them write; {len(wanted['runs'])} runs", flush=True)
    counts: Counter[str] = Counter()
    for number in writes[::every]:
        for where in ("before", "after"):
            found = recorded(number, where)
            counts["whole" if found == wanted else "other"] += 1
            if found != wanted:
                print(f"{stage}: {requests[number]} cut {where}: {differing(found, wanted)}", flush=True)
    print(f"{stage}: {dict(counts)}", flush=True)
    return not counts["other"]


def without_times(values: dict[str, Any]) -> dict[str, Any]:
    """What a server holds, but of figures that tell how long something took only how many there are."""
    for run in values["runs"]:
        points = run["points"]
        run["points"] = points | {name: len(points[name]) for name in points if name.endswith(TIMES)}
    return values


def differing(found: Any, wanted: Any, place: str = "") -> str:
    """The first place at which two values part."""
    if isinstance(found, dict) and isinstance(wanted, dict) and found.keys() == wanted.keys():
        return next(
            (differing(found[key], wanted[key], f"{place}.{key}") for key in found if found[key] != wanted[key]), ""
        )
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        pairs = enumerate(zip(found, wanted, strict=True))
        return next((differing(one, other, f"{place}[{at}]") for at, (one, other) in pairs if one != other), "")
    return f"{place}: {str(found)[:300]}; wanted {str(wanted)[:300]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["stalls", "cuts"])
    parser.add_argument("--stage", action="append", choices=["train", "eval", "export"])
    parser.add_argument("--every", type=int, default=1, help="take every so many-th request")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for stage in STAGES:
            _, done = command(work, stage, VAE_MLFLOW_URI="off", VAE_HOME=str(work / "home"))
            assert done.returncode == 0, done.stderr
        if given.what == "stalls":
            sys.exit(not stalls(work))
        (work / "server").mkdir()
        with mlflow_server(work / "server") as server, proxy_to(server) as proxy:
            wells = [
                cuts(work, server, proxy, stage, given.every) for stage in given.stage or ("train", "eval", "export")
            ]
        sys.exit(not all(wells))


if __name__ == "__main__":
    main()
