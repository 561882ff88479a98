"""The recipe to copy for images, its `data` alone changed, on twelve sets.

Needs VAE_MIRROR, the folder of the sets, and an hour. Each set is prepared and trained by the commands, as a user would
do it; what `eval` would say of the bounds and of fidelity is measured here by the same functions, without its pictures.
"""

import math
import os
import resource
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks.store import Kept, Store
from benchmarks.work import CLI, ROOT, SINGLE
from vae_pipeline.kinds.image.arrays import read_array
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.baselines import baseline_elbo, baseline_psnr
from vae_pipeline.metrics.bounds import elbo_terms
from vae_pipeline.metrics.detection import normal_part
from vae_pipeline.metrics.images import fidelity
from vae_pipeline.metrics.latents import latents
from vae_pipeline.training.length import Length
from vae_pipeline.training.trained import Trained

RECIPE, PAGE = ROOT / "pipeline" / "images.yaml", ROOT / "docs" / "first_attempts.md"
SEED, CPU = 0, torch.device("cpu")
MIRROR = Path(os.environ.get("VAE_MIRROR", "data"))
Data = dict[str, Any]


def arrays(file: str, shape: list[int], **keys: str) -> Callable[[Path], Data]:
    """Parts by the keys of an .npz; a fraction of train where one isn't named."""

    def data(_: Path) -> Data:
        parts: Data = {"valid": 0.1, "test": 0.1}
        for name, key in keys.items():
            parts[name] = {"images": {"path": str(MIRROR / file), "key": key}, "labels": None}
        return {"kind": "arrays", "shape": shape, "range": [0, 255], **parts}

    return data


def first(folder: str, count: int) -> Callable[[Path], Data]:
    """The first images of an MNIST-like set, a ninth as many to validate, and 1,000 to test."""

    def data(work: Path) -> Data:
        images = read_array(MIRROR / folder / "train-images-idx3-ubyte.gz", None)
        parts = {"train": images[:count], "valid": images[-2000 : -2000 + count // 9], "test": images[-1000:]}
        for name, rows in parts.items():
            np.save(work / f"{name}.npy", rows)
        named = {name: {"images": {"path": str(work / f"{name}.npy")}, "labels": None} for name in parts}
        return {"kind": "arrays", "shape": [1, 28, 28], "range": [0, 255], **named}

    return data


def pictures(archive: str, shape: list[int], resize: str, labels: Any = "none") -> Callable[[Path], Data]:
    return lambda _: {
        "kind": "folder",
        "shape": shape,
        "resize": resize,
        "labels": labels,
        "corrupt": "fail",
        "train": str(MIRROR / archive),
        "valid": 0.1,
        "test": 0.1,
    }


PARTS = {"train": "train_images", "valid": "val_images", "test": "test_images"}
SETS: dict[str, Callable[[Path], Data]] = {
    "scikit-learn's digits": lambda _: yaml.safe_load(RECIPE.read_text())["data"],
    "MNIST, the first 500": first("mnist", 500),
    "MNIST, the first 6,912": first("mnist", 6912),
    "Fashion-MNIST, the first 6,912": first("fashion_mnist", 6912),
    "BreastMNIST": arrays("breastmnist/breastmnist.npz", [1, 28, 28], **PARTS),
    "RetinaMNIST": arrays("retinamnist/retinamnist.npz", [3, 28, 28], **PARTS),
    "PneumoniaMNIST": arrays("medmnist/pneumoniamnist.npz", [1, 28, 28], **PARTS),
    "CIFAR-10, 2,000": arrays("cifar10_sample/cifar10_train_0000_1999.npz", [3, 32, 32], train="images"),
    "Olivetti faces": arrays("olivetti_faces/olivetti_faces.npz", [1, 64, 64], train="images"),
    "photographs (Train400)": pictures("photos/train400.tar", [1, 64, 64], "crop"),
    "faces (LFW, 1,000)": pictures("lfw_sample/lfw_sample_1000.tar", [3, 64, 64], "crop"),
    "magnetic tiles": pictures(
        "defects/magnetic_tile_subset.tar", [1, 96, 96], "stretch", {"normal": "MT_Free", "masks": "beside"}
    ),
}


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--only", action="append", choices=list(SETS), help="a set; the others' figures stay")


def measure(given: Namespace, store: Store) -> None:
    torch.set_num_threads(1)
    for name in given.only or SETS:
        with tempfile.TemporaryDirectory() as folder:
            found = store.rows("attempts") | {name: attempt(SETS[name], Path(folder))}
        store.keep("attempts", {key: found[key] for key in SETS if key in found})


def attempt(data: Callable[[Path], Data], folder: Path) -> dict[str, Any]:
    """The figures of one set."""
    recipe, data_folder, model = (folder / name for name in ("first.yaml", "prepared", "model"))
    recipe.write_text(yaml.safe_dump({**yaml.safe_load(RECIPE.read_text()), "data": data(folder)}, sort_keys=False))
    command(["prepare", recipe, "--out", data_folder])
    seconds = command(["train", recipe, "--data", data_folder, "--out", model])
    prepared, trained = Prepared.open(data_folder), Trained.load(model)
    vae, wanted = trained.model.eval(), trained.recipe.train
    length = Length.of(wanted, math.ceil(len(prepared.train) / wanted.batch))
    test, spec = normal_part(prepared), prepared.spec
    assert isinstance(spec, ImageSpec)  # all sets are of images
    elbo = float(elbo_terms(vae, test, SEED, CPU).elbo.mean())
    return {
        "images": len(prepared.train),
        "shape": list(spec.shape),
        "steps": min(length.steps, length.epoch * len(trained.history)),
        "cpu_minutes": seconds / 60,
        "elbo": elbo,
        "baseline_elbo": baseline_elbo(vae.likelihood, prepared.train, test, spec, SEED),
        "bits_per_dimension": -elbo / (spec.dimensions * math.log(2)),
        "psnr": fidelity(vae, test, SEED, CPU).psnr,
        "baseline_psnr": baseline_psnr(prepared.train, test, spec, vae.latents, SEED),
        "active_units": latents(vae, test, CPU).active_units,
        "latents": vae.latents,
    }


def short_of(row: dict[str, Any]) -> str:
    """The goals that aren't reached, in words."""
    wanted = {
        "the baseline": row["elbo"] > row["baseline_elbo"],
        "PCA": row["baseline_psnr"] is None or row["psnr"] > row["baseline_psnr"],
        "active units": row["active_units"] > 0,
    }
    return ", ".join(name for name, reached in wanted.items() if not reached) or "nothing"


def command(arguments: list[Any]) -> float:
    """Run one, and give the seconds of CPU that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    called = [str(part) for part in [*CLI, *arguments]]
    subprocess.run(called, check=True, env=os.environ | SINGLE, stdout=sys.stderr)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def page(kept: Kept) -> str:
    attempts = kept["attempts"]
    head = (
        "set", "training images", "shape", "steps made", "CPU minutes", "ELBO", "independent baseline", "bits a value",
        "PSNR, dB", "PCA's", "active units", "short of",
    )  # fmt: skip
    lines = [
        "# First attempts",
        "",
        f"Written by `make bench TABLE=first_attempts`: {attempts['date']}; {attempts['machine']}.",
        "",
        ABOVE,
    ]
    lines += ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for name, row in attempts["rows"].items():
        pca = row["baseline_psnr"]
        cells = [
            name,
            f"{row['images']:,}",
            " x ".join(map(str, row["shape"])),
            "not kept" if row["steps"] is None else f"{row['steps']:,}",
            f"{row['cpu_minutes']:.1f}",
            f"{row['elbo']:,.1f}",
            f"{row['baseline_elbo']:,.1f}",
            f"{row['bits_per_dimension']:.2f}",
            f"{row['psnr']:.2f}",
            "" if pca is None else f"{pca:.2f}",
            f"{row['active_units']} of {row['latents']}",
            short_of(row),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    missing = [name for name in SETS if name not in attempts["rows"]]
    if missing:
        lines += ["", f"Not tried with this recipe yet: {'; '.join(missing)}."]
    return "\n".join([*lines, ""])


ABOVE = """\
A person who brings images of their own copies [pipeline/images.yaml](../pipeline/images.yaml) and changes `data`. Here
that is done with many sets, and nothing else is changed: the ELBO in nats an image beside that of independent pixels,
which no latent tells anything, and reconstructions beside those by as many principal components as there are latents.
All are of the test part. A run makes 2,000 steps, or ends after 20 validations without a better one.

Where principal components draw better, `eval` fails by the gate `below_pca` and says so. It happens with few
photographs: a linear VAE, which can do no more than 16 components can, comes to 0.05 dB less than they do, since the
mean of a posterior lies nearer to 0; and what is beyond lines isn't learned from some hundred pictures. Nets twice as
wide, or half as many steps again, changed nothing on CIFAR-10.
"""
