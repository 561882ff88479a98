"""Heat maps of `mnist_defects`, chosen on validation images, then tried on test images beside PCA and neighbours.

Needs VAE_MIRROR or a network.

Defects like those of the test part are drawn, by another seed, on half of the validation images, none of which was
trained on. What is said of each pixel, how far it is smoothed, and how much of an image its score looks at, are chosen
by these alone. The test part is looked at once, by the recipe's own evaluation, with what models/heat.py says.
"""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.markdown import table
from benchmarks.models import HOME, evaluated, trained
from benchmarks.store import Kept, Store
from benchmarks.work import ROOT, Work
from vae_pipeline.kinds.image.defects import DefectiveRows, Masks
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.detection import fit_detector
from vae_pipeline.metrics.heat_maps import pixel_auroc
from vae_pipeline.metrics.parts import batches
from vae_pipeline.models.detector import Detector
from vae_pipeline.models.heat import PART, WINDOW, HeatMap
from vae_pipeline.models.likelihoods import ObservedDistribution
from vae_pipeline.recipe import Recipe
from vae_pipeline.training.trained import Trained

PAGE = ROOT / "docs" / "defects.md"
NAME, SEED, CPU = "mnist_defects", 1, torch.device("cpu")
MAPS: dict[str, Callable[[ObservedDistribution, Tensor], Tensor]] = {
    "deviance": lambda observed, x: observed.deviance_by_element(x),
    "-log p": lambda observed, x: -observed.log_prob_by_element(x),
    "squared error": lambda observed, x: observed.squared_error_by_element(x),
}
WINDOWS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)  # standard deviations, in pixels of 28
PARTS = (0.01, 0.02, 0.04, 0.08, 0.16)
SHIPPED = ("deviance", round(WINDOW * 28, 6), PART)
Figures = dict[str, Any]


def options(_: ArgumentParser) -> None:
    """There are none."""


def measure(_: Namespace, store: Store) -> None:
    os.environ["VAE_HOME"] = str(HOME)
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        work = Work(Path(folder))
        data, recipe = work.prepared(NAME), ROOT / "pipeline" / f"{NAME}.yaml"
        model, _ = trained(recipe, data)
        prepared, wanted = Prepared.open(data), Recipe.load(recipe)
        detector = fit_detector(Trained.load(model).model.eval(), wanted.detection, prepared, 0, CPU)
        assert detector is not None
        drawn = with_defects(prepared, tuple(wanted.data.defects), wanted.data.share)
        store.keep("validation", compared(detector, drawn))
        store.keep("test", evaluated(recipe, data, model)[1])


def with_defects(prepared: Prepared, kinds: tuple[str, ...], share: float) -> Split:
    """The validation images, a defect on a share of them; the label says which kind."""
    draw, images = np.random.default_rng(SEED), prepared.valid.x
    labels = np.where(draw.random(len(images)) < share, draw.integers(1, len(kinds) + 1, len(images)), 0)
    rows = DefectiveRows(images, labels, ("", *kinds), prepared.spec.low, prepared.spec.high, SEED)
    every = np.arange(len(images))
    return Split(rows[every], labels, masks=Masks(rows)[every])


@torch.inference_mode()
def maps(detector: Detector, split: Split) -> dict[str, Tensor]:
    """The value of each of MAPS at each pixel, its mean over draws of z, [examples, channels, height, width]."""
    found: dict[str, list[Tensor]] = {name: [] for name in MAPS}
    for images, _ in batches(split, CPU, "scores", 256):
        posterior, target = detector.model.encode(images), detector.model.scaling(images)
        draw = posterior.draw(detector.noise.unsqueeze(1).expand(-1, len(images), -1))
        likelihood = detector.model.explain(target, draw, None).likelihood
        for name, measure in MAPS.items():
            found[name].append(measure(likelihood, target).mean(0))
    return {name: torch.cat(parts) for name, parts in found.items()}


def compared(detector: Detector, split: Split) -> Figures:
    """The AUROC of pixels by each map and window, and of images by each part of these."""
    anomalous = np.asarray(split.labels) > 0
    rows: list[Figures] = []
    for (name, found), window in product(maps(detector, split).items(), WINDOWS):
        smooth = {part: HeatMap(*found.shape[2:], window / 28, part) for part in PARTS}
        heat = smooth[PART](found)
        images = {f"{part:g}": roc_auc_score(anomalous, smooth[part].score(heat).numpy()) for part in PARTS}
        pixels = pixel_auroc(heat.sum(1).numpy(), split.masks)
        rows.append({"map": name, "window": window, "pixels": pixels, "images": images})
    return {"images": len(anomalous), "defective": int(anomalous.sum()), "tried": rows}


def chosen(tried: list[Figures]) -> tuple[str, float, float]:
    """The map, window and part with the highest sum of the two AUROCs."""
    every = ((row, part) for row in tried for part in row["images"])
    row, part = max(every, key=lambda each: each[0]["images"][each[1]] + each[0]["pixels"])
    return row["map"], row["window"], float(part)


# ── the page ──────────────────────────────────────────────────────────────────────────────────────────


def page(kept: Kept) -> str:
    valid, test = kept["validation"]["rows"], kept["test"]["rows"]
    best = chosen(valid["tried"])
    same = "These are the product's own" if best == SHIPPED else f"The product has {told(SHIPPED)} (models/heat.py)"
    lines = [
        "# Defects in images: how the heat map was chosen",
        "",
        f"Written by `make bench TABLE=defects`: {kept['test']['date']}; {kept['test']['machine']}.",
        "",
        f"The recipe `{NAME}` learns flawless digits. Defects like those of its test part were drawn, by another",
        f"seed, on {valid['defective']:,} of its {valid['images']:,} validation images, none of them trained on. What",
        "has the highest sum of two AUROCs there, of images and of pixels, was chosen:",
        f"**{told(best)}**. {same}.",
        "",
        "## On test images",
        "",
        "The recipe's own evaluation, after that choice; PCA has as many components as the model has latents, and the",
        "neighbours are the five nearest training images.",
        "",
        *table("AUROC | images, by the heat map | pixels", [row(test, *each) for each in BESIDE]),
        "",
        f"By -ELBO the model's images come to {test['scores']['negative_elbo']['auroc']:.3f}.",
        "",
        "## On validation images",
        "",
        "Windows are standard deviations in pixels of 28. An image's score is the mean of its hottest part.",
        "",
    ]
    head = "window | pixels | " + " | ".join(f"images, hottest {part:.0%}" for part in PARTS)
    for name in MAPS:
        of_map = [each for each in valid["tried"] if each["map"] == name]
        lines += [f"### {name[0].upper()}{name[1:]}", "", *table(head, [tried(each, best) for each in of_map]), ""]
    return "\n".join(lines)


BESIDE = (("`mnist_defects`", ""), ("PCA", "pca_"), ("nearest neighbours", "knn_"))


def row(test: Figures, name: str, prefix: str) -> list[str]:
    return [name, f"{test[f'{prefix}heat_auroc']:.3f}", f"{test[f'{prefix}pixel_auroc']:.3f}"]


def tried(each: Figures, best: tuple[str, float, float]) -> list[str]:
    """A row of a table; what was chosen is bold."""
    cells = [f"{each['images'][f'{part:g}']:.3f}" for part in PARTS]
    if (each["map"], each["window"]) == best[:2]:
        cells[PARTS.index(best[2])] = f"**{cells[PARTS.index(best[2])]}**"
    return [f"{each['window']:g}", f"{each['pixels']:.3f}", *cells]


def told(choice: tuple[str, float, float]) -> str:
    name, window, part = choice
    return f"{name}, a window of {window:g} pixels of 28, the hottest {part:.0%}"
