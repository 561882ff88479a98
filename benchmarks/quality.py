"""`make bench`, second half: what the models come to beside published figures and pythae, written to docs/quality.md.

Every figure is of models trained here by `vae-pipeline train`, as its recipes are shipped, unless a table says
otherwise. Trained models are kept under benchmarks/.models by all that determines their weights, so
that a run that was stopped goes on.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import CLI, HERE, ROOT, SINGLE, WORKERS, Work, store
from environments import PEERS, python
from rich.console import Console

from vae_pipeline.kinds.store import Prepared
from vae_pipeline.metrics.features import reference
from vae_pipeline.metrics.generation import frechet_distance
from vae_pipeline.recipe import Recipe
from vae_pipeline.stages.job import Job
from vae_pipeline.stages.train import sections_of
from vae_pipeline.system.files import content_key
from vae_pipeline.training.checkpoint import run_key
from vae_pipeline.training.trained import read_history

RESULTS = HERE / "quality.json"
MODELS = HERE / ".models"
Row = dict[str, Any]
Rows = dict[str, Row]
Found = Iterator[tuple[str, Row]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[section.__name__ for section in SECTIONS], action="append")
    given = parser.parse_args()
    os.environ["VAE_HOME"] = str(MODELS / "home")
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder))
        for section in SECTIONS:
            if not given.only or section.__name__ in given.only:
                print(f"{section.__name__} ...", file=sys.stderr, flush=True)
                rows: Rows = {}
                for name, row in section(work):
                    rows[name] = row
                    store(RESULTS, section.__name__, rows)
    (ROOT / "docs" / "quality.md").write_text(page())


# ── running ───────────────────────────────────────────────────────────────────────────────────────────


def spent(command: list[object], environment: dict[str, str] | None = None) -> tuple[str, dict[str, float]]:
    """What a command printed, and its CPU and wall time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command],
        env=os.environ | {"VAE_MLFLOW_URI": "off"} | (environment or {}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, {"cpu": cpu, "wall": time.perf_counter() - began}


def trained(recipe: Path, data: Path, environment: dict[str, str] | None = None) -> tuple[Path, dict[str, float]]:
    """The recipe's model and what its training took; kept."""
    job = Job.of(recipe, 0, Console(quiet=True))
    out = MODELS / run_key(sections_of(job), Prepared.open(data).digest(), torch.device("cpu"))[:16]
    took = out.with_suffix(".json")
    if not took.is_file():
        _, time_taken = spent([*CLI, "train", recipe, "--data", data, "--out", out], environment)
        took.write_text(json.dumps(time_taken))
    return out, json.loads(took.read_text())


def pythae(recipe: Path, data: Path, images: int = 0) -> tuple[Path, Row]:
    """What the recipe's networks come to when pythae trains them, and a folder with its new images; kept."""
    return by_others(python("pythae"), "pythae_quality.py", recipe, data, images)


def by_others(interpreter: Path, worker: str, recipe: Path, data: Path, images: int) -> tuple[Path, Row]:
    """What a worker tells that trains the recipe's networks, and the folder that it fills; kept."""
    out = kept_at(recipe, worker, images)
    found = out / "told.json"
    if not found.is_file():
        out.mkdir(parents=True, exist_ok=True)
        command = [interpreter, WORKERS / worker, recipe, data, out, images, DRAWS]
        printed, _ = spent(command, SINGLE | {"PYTHONPATH": str(ROOT / "src")})
        found.write_text(printed.splitlines()[-1])
    return out, json.loads(found.read_text())


def kept_at(recipe: Path, *of: object) -> Path:
    """Where what was found of a recipe is kept; the whole source counts."""
    source = [path.read_text() for path in sorted((ROOT / "src").rglob("*.py"))]
    return MODELS / content_key(recipe.read_text(), source, *of)[:16]


def evaluated(recipe: Path, data: Path, model: Path) -> tuple[Path, Row]:
    """The folder of a report, kept, and its metrics."""
    report = kept_at(recipe, "report", model.name)
    if not report.is_dir():
        spent([*CLI, "eval", recipe, "--data", data, "--model", model, "--out", report])
    return report, json.loads((report / "metrics.json").read_text())


# ── sections ──────────────────────────────────────────────────────────────────────────────────────────

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
DRAWS = 5_000  # K, beside pythae


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


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────


def page() -> str:
    kept = json.loads(RESULTS.read_text())
    lines = [
        "# Quality",
        "",
        "Written by `make bench`; [benchmarks/](../benchmarks/README.md) says what each table runs. All figures are of",
        "the test part, in nats, of one run with seed 0 that nobody picked. Published figures stand beside ours for",
        "orientation: only runs side by side, on the same data with the same network, are a comparison.",
        "",
    ]
    for section in SECTIONS:
        lines += [f"## {section.__doc__}", ""]
        if section.__name__ not in kept:
            lines += ["Not measured.", ""]
            continue
        found = kept[section.__name__]
        lines += [f"{found['date']}; {found['machine']}.", "", *WORDS[section.__name__](found["rows"]), ""]
    lines += [f"pythae: {', '.join(PEERS['pythae'])}.", ""]
    return "\n".join(lines)


def table(head: str, rows: list[list[str]]) -> list[str]:
    columns = head.count("|") + 1
    return [f"| {head} |", "|---|" + "---:|" * (columns - 1), *("| " + " | ".join(row) + " |" for row in rows)]


def minutes(row: Row) -> str:
    return f"{row['cpu'] / 60:.1f} ({row['wall'] / 60:.1f})"


def number(row: Row, key: str, digits: int = 2) -> str:
    return f"{row[key]:.{digits}f}" if row.get(key) is not None else ""


def likelihood_words(rows: Rows) -> list[str]:
    own = [
        [
            f"`{name}`",
            number(row, "elbo"),
            f"**{row['importance_bound']:.2f}** ± {row['importance_bound_standard_error']:.2f}",
            f"{row['importance_samples']:,}",
            number(row, "bound_alike") or "not kept",
            number(row, "pareto_k_over_0.7") or "not kept",
            f"{row['importance_examples']:,}",
            minutes(row),
        ]
        for name, row in rows.items()
    ]
    published = [[name, "", figures, "", "", "", "", ""] for name, figures in PUBLISHED.items()]
    columns = f"ELBO | importance bound | K | at K = {ALIKE:,} | k̂ over 0.7 | test images"
    lines = table(f"recipe | {columns} | minutes of training, CPU (wall)", own + published)
    if len({row["importance_examples"] for row in rows.values()}) > 1:
        words = (
            "The bounds of our recipes are of different test images, and don't compare with each other: thousands of",
            "images differ by as much as the models do. Their ELBOs are of all test images, and compare.",
        )
    else:
        words = (
            "Bounds are of all test images, by their ELBO and by its gap on so many of them, the same for all our",
            f"recipes. Where K differs, the bounds at K = {ALIKE:,} compare.",
        )
    return [*lines, "", *words]


def pythae_words(rows: Rows) -> list[str]:
    head = f"| importance bound, K = {DRAWS:,}, {BOUNDED:,} test images | above ours, paired | minutes of training, CPU"
    body = [
        [
            name,
            f"{row['bound']:.2f} ± {row['standard_error']:.2f}",
            paired(row) if name != "vae-pipeline" else "",
            f"{row['cpu'] / 60:.1f}",
        ]
        for name, row in rows.items()
    ]
    lines = [
        *table(head, body),
        "",
        "All bounds are computed by the same thirty lines of plain torch (benchmarks/workers/importance.py). Our",
        "recipe has a schedule (one-cycle, average of weights), pythae's trainer Adam at 0.001.",
    ]
    if all("above_ours" in row for row in rows.values()):
        return [*lines, "The plain loop has our schedule: as far as it equals us, that is what parts us from pythae."]
    return [*lines, "No plain loop with our schedule was measured beside them, so that schedules are compared."]


def paired(row: Row) -> str:
    """Empty of rows that were measured before bounds were kept by image."""
    return f"{row['above_ours']:+.2f} ± {row['above_ours_standard_error']:.2f}" if "above_ours" in row else ""


def samples_words(rows: Rows) -> list[str]:
    head = (
        "| Fréchet distance of samples | of reconstructions | of training images | sharpness of reconstructions | "
        "of samples | PSNR, dB | 10,000 from the graph, s | minutes of training, CPU"
    )
    body = [
        [
            name,
            f"**{row['frechet']:.2f}**",
            number(row, "frechet_reconstructions"),
            number(row, "frechet_floor"),
            number(row, "sharpness"),
            number(row, "samples_sharpness"),
            number(row, "psnr", 1),
            number(row, "drawing"),
            f"{row['cpu'] / 60:.1f}",
        ]
        for name, row in rows.items()
    ]
    return [
        *table(head, body),
        "",
        "The distance is no FID: it is taken in the features of a small classifier of the same data, and compares only",
        "within one data set. Sharpness: variance of the Laplacian over the test images'; 1 is as sharp as those.",
    ]


def control_words(rows: Rows) -> list[str]:
    body = [
        [
            name,
            row["length"],
            f"{row['reached']:.2f}",
            f"{row['held_out']:.2f}" if "held_out" in row else "",
            f"{100 * abs(row.get('held_out', row['reached']) / row['wanted'] - 1):.1f} %",
            f"{row['beta']:.3g}",
        ]
        for name, row in rows.items()
    ]
    return table(
        "recipe and target | length | reached, mean of the last epoch | on the validation part | off by | beta", body
    )


WORDS = {
    "likelihood": likelihood_words,
    "beside_pythae": pythae_words,
    "samples_of_mnist": samples_words,
    "samples_of_fashion": samples_words,
    "control": control_words,
}


if __name__ == "__main__":
    main()
