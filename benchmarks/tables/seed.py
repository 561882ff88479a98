"""The recipe mnist beside the beginner's Keras program: -ELBO on the 10,000 test images after ten epochs.

Needs VAE_MIRROR or a network. Both train on the same 60,000 images; the runs alternate; each seed is one pair.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from benchmarks.environments import python
from benchmarks.markdown import table
from benchmarks.store import Kept, Store
from benchmarks.work import CLI, ROOT, WORKERS, Work

PAGE = None
RECIPE = ROOT / "pipeline" / "mnist.yaml"


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=3)


def measure(given: Namespace, store: Store) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder))
        data, rows = work.prepared("mnist"), {}
        for seed in range(given.seeds):
            rows[str(seed)] = {"vae-pipeline": ours(data, seed, work.folder), "Keras": keras(data, seed)}
            store.keep("negative_elbo", rows)
    print(page(store.read()))


def ours(data: Path, seed: int, work: Path) -> float:
    model, report = work / f"model-{seed}", work / f"report-{seed}"
    common = ["--data", data, "--seed", str(seed)]
    subprocess.run([*CLI, "train", RECIPE, *common, "--out", model], check=True, stdout=sys.stderr)
    evaluate = [*CLI, "eval", RECIPE, *common, "--model", model, "--out", report]
    subprocess.run(evaluate, check=True, stdout=sys.stderr)
    return -float(json.loads((report / "metrics.json").read_text())["elbo"])


def keras(data: Path, seed: int) -> float:
    program = [python("keras"), WORKERS / "keras_program.py", data, str(seed)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["negative_elbo"])


def page(kept: Kept) -> str:
    rows = kept["negative_elbo"]["rows"]
    ours, theirs = (statistics.mean(row[name] for row in rows.values()) for name in ("vae-pipeline", "Keras"))
    body = [[seed, *(f"{value:.2f}" for value in row.values())] for seed, row in rows.items()]
    body.append(["mean", f"{ours:.2f}", f"{theirs:.2f}"])
    ratio = f"-ELBO in nats; ratio of the means {ours / theirs:.4f}"
    return "\n".join([*table("seed | vae-pipeline | Keras", body), "", ratio])
