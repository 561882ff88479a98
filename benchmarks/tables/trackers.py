"""Trackers that fail: what a stall costs the commands that record there, and what a cut loses or doubles.

Needs nothing:

    python -m benchmarks trackers stalls
    python -m benchmarks trackers cuts --stage train --stage eval --stage export

`stalls` times `eval` and `sync` as commands, beside trackers that stall in each way of
tests/system/tracking/stalls.py. `cuts` runs each stage once whole, by MLflow's own server, and then twice for each
request that writes: the connection dies there, before the request is delivered or before its answer is, and stays
dead. After `sync` the server must hold what the whole run left.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.system.tracking.server import Proxy, mlflow_server, proxy_to
from tests.system.tracking.stalls import STALLS, stalling
from tests.system.tracking.test_lost_connections import held, telling

from benchmarks.store import Store
from benchmarks.work import CLI, ROOT
from vae_pipeline.system.settings import Settings
from vae_pipeline.system.tracking.sender import Sender

PAGE = None
STAGES = {
    "prepare": ["--out", "data"],
    "train": ["--data", "data", "--out", "model"],
    "eval": ["--data", "data", "--model", "model", "--out", "report"],
    "export": ["--data", "data", "--model", "model", "--report", "report", "--out", "bundle"],
}
JOURNALS = {"train": "train", "eval": "evaluate", "export": "export"}
"""The stages that record something, and what their journals are called."""
TIMES = ("_s", "per_second")
"""Ends of the names of figures that differ from run to run."""


def command(work: Path, name: str, **settings: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Run a command: the seconds it took, and its output."""
    recipe = [] if name == "sync" else [ROOT / "pipeline" / "smoke.yaml", *STAGES[name]]
    began = time.monotonic()
    done = subprocess.run(
        [*CLI, name, *map(str, recipe)],
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
                lost = took - alone if stage == "eval" else took
                print(f"{name}: {stage} {took:.1f} s, {lost:.1f} lost, exit code {done.returncode}", flush=True)
                well &= lost < 30 and done.returncode == (0 if stage == "eval" else 1)
    return well


def cuts(work: Path, server: int, proxy: Proxy, stages: Sequence[str]) -> bool:
    """Cut the requests of each stage, and say whether the server came to hold the same all the same."""
    proxy.die(0, "before")
    for stage in JOURNALS:
        command(work, stage, **environment(work / "down", proxy, "down"))
    counts: Counter[str] = Counter()
    for stage in stages:
        wanted = delivered(work, server, proxy, stage, None, "whole")
        numbers = telling(list(proxy.seen))
        print(f"{stage}: {len(proxy.seen)} requests, {len(numbers)} of them cut, each twice", flush=True)
        for number in numbers:
            for where in ("before", "after"):
                found = delivered(work, server, proxy, stage, number, where)
                counts["whole" if found == wanted else "other"] += 1
                if found != wanted:
                    print(f"{stage}: request {number} cut {where}: {differing(found, wanted)}", flush=True)
        found = commanded(work, server, proxy, stage, numbers[len(numbers) // 2])
        counts["command whole" if found == wanted else "command other"] += 1
        if found != wanted:
            print(f"{stage}: the command itself: {differing(found, wanted)}", flush=True)
    print(dict(counts), flush=True)
    return not any("other" in name for name in counts)


def delivered(work: Path, server: int, proxy: Proxy, stage: str, number: int | None, where: Any) -> dict[str, Any]:
    """The server's records of the journals up to a stage's, whose request `number` was the first to be cut."""
    name = f"{stage}-{number}-{where}"
    before(work, proxy, stage, name)
    home = work / name / "tracking"
    journals = [shutil.copy(path, home) for path in (work / "down" / "tracking").glob(f"{JOURNALS[stage]}-*.jsonl")]
    proxy.live() if number is None else proxy.die(number, where)
    sender(work, proxy, name).send(Path(journals[0]))
    if number is not None:
        proxy.live()
        sender(work, proxy, name).sync(lambda *_: None)
    assert not list(home.glob("*.jsonl")), f"{name}: a journal waits"
    return holds(name, server)


def commanded(work: Path, server: int, proxy: Proxy, stage: str, number: int) -> dict[str, Any]:
    """The same, of the command itself and of `sync`."""
    name = f"{stage}-command"
    before(work, proxy, stage, name)
    settings = environment(work / name, proxy, name)
    proxy.die(number, "after")
    _, done = command(work, stage, **settings)
    assert done.returncode == 0, done.stderr
    proxy.live()
    _, synced = command(work, "sync", **settings)
    assert synced.returncode == 0, synced.stderr
    return holds(name, server)


def before(work: Path, proxy: Proxy, stage: str, name: str) -> None:
    """Send the journals of the stages before one."""
    proxy.live()
    (work / name / "tracking").mkdir(parents=True)
    for earlier in list(JOURNALS)[: list(JOURNALS).index(stage)]:
        for path in (work / "down" / "tracking").glob(f"{JOURNALS[earlier]}-*.jsonl"):
            sender(work, proxy, name).send(Path(shutil.copy(path, work / name / "tracking")))


def sender(work: Path, proxy: Proxy, name: str) -> Sender:
    said: list[str] = []
    return Sender(Settings(home=work / name, mlflow_uri=proxy.url, mlflow_experiment=name), said.append)


def environment(home: Path, proxy: Proxy, name: str) -> dict[str, str]:
    return {"VAE_MLFLOW_URI": proxy.url, "VAE_HOME": str(home), "VAE_MLFLOW_EXPERIMENT": name}


def holds(name: str, server: int) -> dict[str, Any]:
    """All that the server has of an experiment, and how many versions of its model are registered."""
    from mlflow import MlflowClient

    scene = SimpleNamespace(job=SimpleNamespace(settings=SimpleNamespace(mlflow_experiment=name)))
    client = MlflowClient(f"http://127.0.0.1:{server}")
    experiment = client.get_experiment_by_name(name).experiment_id
    runs = {run.info.run_id for run in client.search_runs([experiment])}
    versions = sum(version.run_id in runs for version in client.search_model_versions("name = 'smoke'"))
    return without_times(held(scene, server)) | {"versions": versions}


def without_times(values: dict[str, Any]) -> dict[str, Any]:
    """A server's records; a figure that is a time is replaced by the number of its points."""
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


def options(parser: ArgumentParser) -> None:
    parser.add_argument("what", choices=["stalls", "cuts"])
    parser.add_argument("--stage", choices=JOURNALS, action="append", help="whose requests are cut; all if not given")


def measure(given: Namespace, _: Store) -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for stage in STAGES:
            _, done = command(work, stage, VAE_MLFLOW_URI="off", VAE_HOME=str(work / "home"))
            assert done.returncode == 0, done.stderr
        if given.what == "stalls":
            sys.exit(not stalls(work))
        (work / "server").mkdir()
        with mlflow_server(work / "server") as server, proxy_to(server) as proxy:
            well = cuts(work, server, proxy, given.stage or [*JOURNALS])
        sys.exit(not well)
