"""`make bench`: the engine beside its peers, on this machine, written to docs/performance.md.

Runs that are compared alternate inside one session, one thread each on one core; medians, and the range from the
lowest to the highest. Peers live in environments of their own. Ratios are of CPU time; wall time stands beside it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import yaml
from common import CLI, HERE, PIN, ROOT, SINGLE, WORKERS, Work, store
from environments import PEERS, python

Row = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=[section.__name__ for section in SECTIONS], action="append")
    given = parser.parse_args()
    wanted = [section for section in SECTIONS if not given.only or section.__name__ in given.only]
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder), given.rounds)
        for section in wanted:
            print(f"{section.__name__} ...", file=sys.stderr, flush=True)
            store(RESULTS, section.__name__, section(work))
    (ROOT / "docs" / "performance.md").write_text(page())


# ── running ───────────────────────────────────────────────────────────────────────────────────────────


class Worker:
    """A program of benchmarks/workers, pinned to one core."""

    def __init__(self, interpreter: Path, program: str, *arguments: object) -> None:
        command = [str(part) for part in (*PIN, interpreter, WORKERS / program, *arguments)]
        self.process = subprocess.Popen(
            command, env=os.environ | SINGLE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                raise SystemExit(f"{program} ended before it was ready")

    def unit(self) -> dict[str, float]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        while not (line := self.process.stdout.readline()).startswith("{"):
            if not line:
                raise SystemExit("a worker ended early")
        return dict(json.loads(line))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def alternate(workers: dict[str, Worker], rounds: int) -> dict[str, Row]:
    """A unit of each worker in turn."""
    rows: dict[str, Row] = {name: {"cpu": [], "wall": [], "peak_mib": []} for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            for key, value in worker.unit().items():
                rows[name][key].append(value)
    for worker in workers.values():
        worker.end()
    return rows


def whole(
    commands: dict[str, Sequence[object]], rounds: int, before: Callable[[], None] = lambda: None
) -> dict[str, Row]:
    """Each command from start to end, in turn; CPU time and memory of it and its children."""
    rows: dict[str, Row] = {name: {"cpu": [], "wall": [], "peak_mib": []} for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            before()
            began = time.perf_counter()
            process = subprocess.Popen(
                [str(part) for part in (*PIN, *command)],
                env=os.environ | SINGLE,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                raise SystemExit(f"{command} failed")
            rows[name]["wall"].append(time.perf_counter() - began)
            rows[name]["cpu"].append(usage.ru_utime + usage.ru_stime)
            rows[name]["peak_mib"].append(usage.ru_maxrss / 1024)
    return rows


# ── sections ──────────────────────────────────────────────────────────────────────────────────────────


def epochs(work: Work) -> dict[str, Row]:
    """The seed's network, seconds an epoch of 60,000."""
    data, recipe = work.prepared("mnist"), ROOT / "pipeline" / "mnist.yaml"
    workers = {
        "vae-pipeline": Worker(Path(sys.executable), "ours.py", recipe, data, 0),
        "DataLoader script": Worker(Path(sys.executable), "script.py", recipe, data, 0),
        "Keras": Worker(python("keras"), "keras_fit.py", data),
        "JAX, an epoch a scan": Worker(python("jax"), "jax_scan.py", data),
        "pythae": Worker(python("pythae"), "pythae_epochs.py", data),
    }
    return alternate(workers, work.rounds)


CONVOLUTION = {
    "model.encoder": {"kind": "convolution", "channels": [32, 64], "activation": "silu"},
    "model.decoder": {"kind": "convolution", "channels": [64, 32], "activation": "silu"},
    "model.likelihood": {"kind": "laplace", "scale": "learned", "mean": "sigmoid"},
    "train.batch": 256,
    "train.ema": None,
}
"""One network for all dates, whatever the recipe becomes."""


def convolution(work: Work) -> dict[str, Row]:
    """Convolutions of 32 and 64 channels, 32 latents, a Laplace: MNIST, seconds for 20 steps of 256."""
    data, recipe = work.prepared("mnist_conv"), work.recipe("mnist_conv", CONVOLUTION)
    workers = {
        "vae-pipeline": Worker(Path(sys.executable), "ours.py", recipe, data, 20),
        "DataLoader script": Worker(Path(sys.executable), "script.py", recipe, data, 20),
    }
    return alternate(workers, work.rounds)


def streaming(work: Work) -> dict[str, Row]:
    """The seed's network, seconds an epoch, from memory and from the disk's map (which a thread of its own reads)."""
    data, recipe = work.prepared("mnist"), ROOT / "pipeline" / "mnist.yaml"
    workers = {
        "resident": Worker(Path(sys.executable), "ours.py", recipe, data, 0),
        "streamed": Worker(Path(sys.executable), "ours.py", recipe, data, 0, "streamed"),
    }
    return alternate(workers, work.rounds)


def process(work: Work) -> dict[str, Row]:
    """One epoch of the seed's network as a whole process: start, read, train, write."""
    data, out, home = work.prepared("mnist"), work.folder / "model", work.folder / "home"
    recipe = work.recipe("mnist", {"train.epochs": 1})
    os.environ["VAE_HOME"] = str(home)
    commands = {
        "vae-pipeline train": [*CLI, "train", recipe, "--data", data, "--out", out],
        "Keras script": [python("keras"), WORKERS / "keras_fit.py", data],
    }
    return whole(commands, work.rounds)


def start(work: Work) -> dict[str, Row]:
    """Starting, and no more."""
    commands = {
        "vae-pipeline --help": [*CLI, "--help"],
        "import vae_pipeline.runtime.bundle": [sys.executable, "-c", "import vae_pipeline.runtime.bundle"],
        "import torch": [sys.executable, "-c", "import torch"],
    }
    return whole(commands, work.rounds)


def bound(work: Work) -> dict[str, Row]:
    """The importance bound with K = 5000, seconds an image."""
    return told(work, "bound.py")


def decoding(work: Work) -> dict[str, Row]:
    """The decoder of the recipe mnist in one process, microseconds a call; cold: calls that alternate one by one."""
    return told(work, "decoding.py")


def told(work: Work, program: str) -> dict[str, Row]:
    """What a worker prints that compares by itself, on the recipe mnist."""
    worker = [*PIN, sys.executable, WORKERS / program, ROOT / "pipeline" / "mnist.yaml", work.prepared("mnist")]
    rows: dict[str, Row] = {}
    for _ in range(work.rounds):
        done = subprocess.run(worker, env=os.environ | SINGLE, capture_output=True, text=True, check=True)
        for name, took in json.loads(done.stdout).items():
            for key, value in took.items():
                rows.setdefault(name, {}).setdefault(key, []).append(value)
    return rows


def tracking(work: Work) -> dict[str, Row]:
    """Five epochs of the seed's network, with and without MLflow (SQLite), whose process may use the other core."""
    data, recipe = work.prepared("mnist"), work.recipe("mnist", {"train.epochs": 5})
    rows: dict[str, Row] = {"off": {}, "on": {}}
    for number in range(work.rounds):
        for name, row in rows.items():
            home = work.folder / f"tracking-{name}-{number}"
            uri = "off" if name == "off" else f"sqlite:///{home}/mlflow.db"
            home.mkdir()
            environment = os.environ | SINGLE | {"VAE_MLFLOW_URI": uri, "VAE_HOME": str(home)}
            command = [sys.executable, WORKERS / "timed_train.py", recipe, data, home / "model"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            for key, value in json.loads(done.stdout.splitlines()[-1]).items():
                row.setdefault(key, []).append(value)
    return rows


def sizes(work: Work) -> dict[str, Row]:
    """Microseconds a training example, by the number of rows and by the width of the network."""
    rows: dict[str, Row] = {}
    draw = np.random.default_rng(0)
    for count in (10_000, 60_000, 600_000):
        raw = work.folder / f"rows-{count}.npy"
        np.save(raw, draw.integers(0, 256, (count, 1, 28, 28), np.uint8))
        rows[f"{count:,} rows"] = _sized(work, raw, [128, 64])
        raw.unlink()
    np.save(raw := work.folder / "rows.npy", draw.integers(0, 256, (60_000, 1, 28, 28), np.uint8))
    for width in (128, 512, 2048):
        rows[f"layers of {width} and {width // 2}"] = _sized(work, raw, [width, width // 2])
    return rows


def _sized(work: Work, raw: Path, layers: list[int]) -> Row:
    values = yaml.safe_load((ROOT / "pipeline" / "mnist.yaml").read_text())
    part = {"images": {"path": str(raw)}, "labels": None}
    values["data"] = {
        "kind": "arrays",
        "shape": [1, 28, 28],
        "range": [0, 255],
        "train": part,
        "valid": 0.0,
        "test": 0.01,
    }
    values["model"]["encoder"]["layers"], values["model"]["decoder"]["layers"] = layers, layers[::-1]
    recipe, data = work.folder / "sized.yaml", work.folder / "sized"
    recipe.write_text(yaml.safe_dump(values))
    subprocess.run([*CLI, "prepare", recipe, "--out", data], check=True, stdout=sys.stderr)
    row = alternate({"ours": Worker(Path(sys.executable), "ours.py", recipe, data, 100)}, work.rounds)["ours"]
    scale = 1e6 / (100 * values["train"]["batch"])
    return {
        "cpu": [scale * t for t in row["cpu"]],
        "wall": [scale * t for t in row["wall"]],
        "peak_mib": row["peak_mib"],
    }


def text(work: Work) -> dict[str, Row]:
    """The recipe ptb, microseconds a token: 10 steps of 64 sentences, whose tokens (ends counted) are 22 on average."""
    data, recipe = work.prepared("ptb"), ROOT / "pipeline" / "ptb.yaml"
    full = work.recipe("ptb", {"model.likelihood.output": {"kind": "full", "tied": False}})
    workers = {
        "vae-pipeline": Worker(Path(sys.executable), "ours.py", recipe, data, 10),
        "vae-pipeline, one layer to all words": Worker(Path(sys.executable), "ours.py", full, data, 10),
        "LSTM-VAE script, one layer to all words": Worker(Path(sys.executable), "text_script.py", recipe, data, 10),
    }
    card = json.loads((data / "card.json").read_text())
    tokens = 10 * 64 * card["tokens"]["train"] / card["examples"]["train"]
    return {
        name: {key: [value if key == "peak_mib" else 1e6 * value / tokens for value in row[key]] for key in row}
        for name, row in alternate(workers, work.rounds).items()
    }


SECTIONS = (epochs, convolution, streaming, process, start, bound, decoding, tracking, sizes, text)


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────

RESULTS = HERE / "results.json"


TARGETS = (
    ("seed's network, an epoch ÷ DataLoader script", "epochs", "vae-pipeline", "DataLoader script", "cpu", 0.55, 0.42),
    ("seed's network, an epoch ÷ Keras", "epochs", "vae-pipeline", "Keras", "cpu", 0.65, 0.50),
    ("seed's network, an epoch ÷ JAX scan", "epochs", "vae-pipeline", "JAX, an epoch a scan", "cpu", 1.25, 1.0),
    ("whole process, one epoch ÷ Keras script", "process", "vae-pipeline train", "Keras script", "cpu", 0.45, 0.35),
    (
        "peak memory of that process ÷ Keras script",
        "process",
        "vae-pipeline train",
        "Keras script",
        "peak_mib",
        0.35,
        0.30,
    ),
    (
        "convolutional VAE, an epoch ÷ DataLoader script",
        "convolution",
        "vae-pipeline",
        "DataLoader script",
        "cpu",
        0.85,
        0.65,
    ),
    ("importance bound, K = 5000 ÷ loop over K", "bound", "vae-pipeline", "loop over K", "cpu", 1 / 35, 1 / 60),
    ("decoding one example, onnxruntime ÷ torch", "decoding", "onnxruntime, one", "torch, one", "cpu", 1 / 3, None),
    (
        "recurrent VAE, a token ÷ LSTM-VAE script",
        "text",
        "vae-pipeline",
        "LSTM-VAE script, one layer to all words",
        "cpu",
        1.0,
        None,
    ),
    ("tracking on ÷ off, time of the loop", "tracking", "on", "off", "loop", 1.03, 1.01),
)


def page() -> str:
    kept = json.loads(RESULTS.read_text())
    lines = [
        "# Performance",
        "",
        "Written by `make bench`; [benchmarks/](../benchmarks/README.md) says what each row runs. One thread each, on",
        "one core, runs alternating inside one session; ratios are of medians of CPU time (of memory, of the loop's",
        "wall time where the row says so), and in brackets stand the lowest and the highest of one round.",
        "",
        "| | measured | target | stretch |",
        "|---|---:|---:|---:|",
    ]
    for about, section, mine, peer, key, target, stretch in TARGETS:
        measured = ratio(kept, section, mine, peer, key)
        lines.append(f"| {about} | {measured} | {target:.3g} | {'' if stretch is None else f'{stretch:.3g}'} |")
    lines += ["", "On a GPU: not measured.", ""]
    for section in SECTIONS:
        if section.__name__ not in kept:
            continue
        found = kept[section.__name__]
        keys = list(next(iter(found["rows"].values())))
        lines += [f"## {section.__doc__}", "", f"{found['date']}; {found['machine']}.", ""]
        lines += ["| | " + " | ".join(NAMES[key] for key in keys) + " |", "|---|" + "---:|" * len(keys)]
        for name, row in found["rows"].items():
            lines.append(f"| {name} | " + " | ".join(spread(row[key]) for key in keys) + " |")
        lines.append("")
    lines += ["Peers: " + "; ".join(f"{name}: {', '.join(wanted)}" for name, wanted in PEERS.items()) + ".", ""]
    return "\n".join(lines)


NAMES = {"cpu": "CPU", "wall": "wall", "peak_mib": "peak MiB", "loop": "loop", "command": "whole command"}


def ratio(kept: dict[str, dict[str, dict[str, Row]]], section: str, mine: str, peer: str, key: str) -> str:
    if section not in kept:
        return "not measured"
    a, b = (kept[section]["rows"][name][key] for name in (mine, peer))
    each = [x / y for x, y in zip(a, b, strict=True)]
    return f"{statistics.median(a) / statistics.median(b):.3g} [{min(each):.3g}, {max(each):.3g}]"


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.4g} [{min(values):.4g}, {max(values):.4g}]"


if __name__ == "__main__":
    main()
