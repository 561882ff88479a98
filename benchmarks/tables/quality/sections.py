"""The sections of the table: which recipes, beside what."""

import json
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.models import DRAWS, Row, by_others, evaluated, pythae, spent, trained
from benchmarks.work import CLI, ROOT, SINGLE, WORKERS, Work
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.features import reference
from vae_pipeline.metrics.generation import frechet_distance
from vae_pipeline.recipe import Recipe
from vae_pipeline.training.trained import read_history

Found = Iterator[tuple[str, Row]]
PUBLISHED = {
    "VAE, one layer (reference; pythae's)": "-89.9 (-89.78)",
    "IWAE-50 (pythae's)": "-87.1 (-86.82)",
    "VAE + VampPrior (pythae's)": "-85.57 (-85.79)",
    "convolutional ladder, 3 / 6 / 12 levels": "-79.24 / -78.52 / -78.30",
}
BOUNDED = 1_000  # test images, the same of every recipe
COUNTED = {"mnist_static": 5000, "mnist_vamp": 5000, "mnist_ladder": 1000}
"""K: an image takes the ladder two seconds at K = 5000."""
ALIKE = min(COUNTED.values())


def likelihood(work: Work) -> Found:
    """Bound on log p(x) of statically binarised MNIST, nats"""
    data = work.prepared("mnist_static")
    for name, count in COUNTED.items():
        model, took = trained(ROOT / "pipeline" / f"{name}.yaml", data)
        recipe = work.recipe(name, {"evaluate.samples": count, "evaluate.examples": BOUNDED, "evaluate.gates": {}})
        _, metrics = evaluated(recipe, data, model)
        keys = (
            "elbo",
            "importance_bound",
            "importance_bound_standard_error",
            "importance_samples",
            "importance_examples",
            "pareto_k_over_0.7",
        )
        alike = {"bound_alike": metrics["importance_bounds"][str(ALIKE)]}
        yield name, {key: metrics[key] for key in keys} | alike | took


def beside_pythae(work: Work) -> Found:
    """The same beside pythae: the network of mnist_static, 20 epochs in batches of 256, one thread each"""
    data, recipe = work.prepared("mnist_static"), work.recipe("mnist_static", {"train.epochs": 20})
    model, took = trained(recipe, data, SINGLE)
    bounds = work.folder / "bounds.npy"
    spent([sys.executable, WORKERS / "our_bound.py", model, data, BOUNDED, DRAWS, bounds], SINGLE)
    ours = np.load(bounds)
    yield "vae-pipeline", bound_of(ours, ours) | took
    others = {
        "a plain loop, the same schedule": by_others(Path(sys.executable), "plain_loop.py", recipe, data, BOUNDED),
        "pythae, VAE, its own trainer": pythae(recipe, data, images=BOUNDED),
    }
    for name, (folder, told) in others.items():
        yield name, bound_of(np.load(folder / "bounds.npy"), ours) | told


def bound_of(bounds: np.ndarray, ours: np.ndarray) -> Row:
    """A bound's mean, and by how much it is above ours on the same images; each with its standard error."""
    apart = bounds - ours
    return {
        "bound": float(bounds.mean()),
        "standard_error": float(bounds.std(ddof=1) / len(bounds) ** 0.5),
        "above_ours": float(apart.mean()),
        "above_ours_standard_error": float(apart.std(ddof=1) / len(apart) ** 0.5),
    }


UNIT = {"kind": "gaussian", "scale": 1.0, "mean": "linear"}
"""The squared error's likelihood, with which the others are compared."""
BERNOULLI = {"kind": "bernoulli"}
"""The cross-entropy of greys, the other usual choice."""


def samples_of_mnist(work: Work) -> Found:
    """New images: MNIST, the network and the steps of mnist_conv"""
    data = work.prepared("mnist_conv")
    yield from side_by_side(work, "mnist_conv", data)
    recipe = work.recipe("mnist_conv", {"model.likelihood": UNIT})
    folder, theirs = pythae(recipe, data)
    prepared = Prepared.open(data)
    judge = reference(prepared, Path(os.environ["VAE_HOME"]), torch.device("cpu"))
    real = judge.of(prepared.test)
    for kind, title in {"prior": "N(0, I)", "mixture": "mixture of ten"}.items():
        drawn = judge.of_scaled(torch.from_numpy(np.load(folder / f"{kind}.npy")))
        yield f"pythae, unit variance, {title}", theirs | {"frechet": frechet_distance(real, drawn)}


def samples_of_fashion(work: Work) -> Found:
    """New images: Fashion-MNIST, the network and the steps of fashion_mnist"""
    yield from side_by_side(work, "fashion_mnist", work.prepared("fashion_mnist"))


def side_by_side(work: Work, name: str, data: Path) -> Found:
    keys = ("frechet_reconstructions", "frechet_floor", "sharpness", "samples_sharpness", "psnr", "elbo")
    keys += ("importance_bound", "importance_bound_standard_error", "importance_samples", "importance_examples")
    likelihoods = {
        "learned scale": {},
        "unit variance": {"model.likelihood": UNIT},
        "Bernoulli": {"model.likelihood": BERNOULLI},
    }
    for title, likelihood in likelihoods.items():
        recipe = work.recipe(name, likelihood | {"evaluate.gates": {}, "evaluate.waive": ["below_pca"]})
        model, took = trained(recipe, data)
        report, metrics = evaluated(recipe, data, model)
        common = {key: metrics[key] for key in keys} | took
        by_prior = metrics.get("frechet_prior", metrics["frechet_samples"])
        yield f"{title}, N(0, I)", common | {"frechet": by_prior}
        fitted = common | {"frechet": metrics["frechet_samples"]}
        if not likelihood:
            fitted["drawing"] = drawing(work, recipe, data, model, report)
        yield f"{title}, sampler auto ({metrics['sampler']})", fitted


def drawing(work: Work, recipe: Path, data: Path, model: Path, report: Path) -> float:
    """Seconds for 10,000 new images from the exported graph, median of five."""
    bundle = work.folder / f"bundle-{model.name}"
    spent([*CLI, "export", recipe, "--data", data, "--model", model, "--report", report, "--out", bundle])
    printed, _ = spent([sys.executable, WORKERS / "drawing.py", bundle])
    return statistics.median(json.loads(printed))


TARGETS = {
    "target_rate": {"digits": (5.0, 20.0), "mnist_conv": (15.0,), "smoke": (2.0, 3.0)},
    "target_distortion": {"digits": (-45.0,), "mnist_conv": (900.0,), "smoke": (40.0, 45.0)},
}
LENGTHS: dict[str, Row] = {
    "digits": {"train.epochs": 150},
    "mnist_conv": {"train.steps": 2000},
    "smoke": {"train.epochs": 60},
}


def control(work: Work) -> Found:
    """Targets of the rate (PI control) and of the distortion (GECO), the same gains everywhere"""
    for kind, recipes in TARGETS.items():
        part = kind.removeprefix("target_")
        for name, targets in recipes.items():
            for nats in targets:
                steered = {"kind": kind, "nats": nats} | ({"psnr": None} if part == "distortion" else {})
                changes = {"rate_control": steered, "train.keep": "last", "train.patience": None, "sampler": "prior"}
                recipe = work.recipe(name, changes | LENGTHS[name])
                model, took = trained(recipe, work.prepared(name))
                last = read_history(model / "history.csv")[-1]
                reached = {"wanted": nats, "reached": last[f"train_{part}"], "beta": last["beta"]}
                reached |= {"held_out": last[f"valid_{part}"]}
                yield f"{name}, {part} {nats:g}", reached | {"length": Recipe.load(recipe).train.length} | took


SECTIONS = (likelihood, beside_pythae, samples_of_mnist, samples_of_fashion, control)
