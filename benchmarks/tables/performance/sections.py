"""The sections of the table: what runs, on which data."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

from benchmarks.environments import python
from benchmarks.timing import Row, Worker, alternate, whole
from benchmarks.work import CLI, PIN, ROOT, SINGLE, WORKERS, Work


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
    """The figures of a worker that compares by itself, on the recipe mnist."""
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
