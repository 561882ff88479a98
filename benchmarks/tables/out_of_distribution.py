"""The scores of a VAE on images of another kind, with the remedies of the literature.

Needs VAE_MIRROR or a network. A small dense VAE is trained on one set of images and scores the test images of the same
set and of others; a figure is the AUROC of a score that saw neither the others nor a label.
"""

import os
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from benchmarks.store import Kept, Store
from benchmarks.work import CLI, ROOT, SINGLE, Work
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.detection import calibrated, detect
from vae_pipeline.metrics.out_of_distribution import atypicality, complexity, likelihood_regret
from vae_pipeline.metrics.parts import subset
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.training.trained import Trained

PAGE = ROOT / "docs" / "out_of_distribution.md"
CPU = torch.device("cpu")
SETS = {"fashion_mnist": "Fashion-MNIST", "mnist_conv": "MNIST"}
LIKELIHOODS = {
    "Bernoulli cross-entropy": {"kind": "bernoulli"},
    "discretised logistic": {"kind": "discretised_logistic", "components": 1},
}
NETS = {
    "model.encoder": {"kind": "dense", "layers": [512, 256], "activation": "silu"},
    "model.decoder": {"kind": "dense", "layers": [256, 512], "activation": "silu"},
    "model.posterior": {"kind": "gaussian", "latents": 32},
    "train.epochs": 6,
    "train.steps": None,
    "train.batch": 256,
    "train.learning_rate": 0.002,
    "train.schedule": "one_cycle",
    "train.warm_up": 0.0,
    "train.ema": None,
    "sampler": "prior",
}
IMAGES, SLOW = 2000, 500  # test images of each set, and those whose regret is measured
TITLES = {
    "negative_elbo": "−ELBO",
    "importance_bound": "importance bound",
    "reconstruction_error": "reconstruction error",
    "rate": "rate",
    "mahalanobis": "latent Mahalanobis",
    "rank_ensemble": "rank ensemble",
    "atypicality": "typicality (Nalisnick 2019)",
    "complexity_corrected": "complexity correction (Serrà 2020)",
    "likelihood_regret": "likelihood regret (Xiao 2020)",
    "hottest_part": "hottest part of the heat map",
}


def options(_: ArgumentParser) -> None:
    """There are none."""


def measure(_: Namespace, store: Store) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(Path(folder))
        prepared = {name: Prepared.open(work.prepared(name)) for name in SETS}
        rows: dict[str, Any] = {}
        for name in SETS:
            for likelihood, section in LIKELIHOODS.items():
                recipe, model = (
                    work.recipe(name, NETS | {"model.likelihood": section}),
                    work.folder / f"model-{len(rows)}",
                )
                command = [*CLI, "train", recipe, "--data", work.prepared(name), "--out", model]
                subprocess.run([str(part) for part in command], check=True, env=os.environ | SINGLE, stdout=sys.stderr)
                rows[f"{name}, {likelihood}"] = found(Trained.load(model), prepared, name)
                store.keep("scores", rows)


def found(trained: Trained, prepared: dict[str, Prepared], name: str) -> dict[str, dict[str, float]]:
    """The AUROC of each score, by the set that is to be told from the one trained on."""
    own = prepared[name]
    wanted = DetectionSection(score="negative_elbo", draws=4, collected=None)
    detector = calibrated(trained.model.eval(), wanted, subset(own.train, 10_000, 0), subset(own.valid, 10_000, 0), CPU)
    known = detector.tails["negative_elbo"].scores.double().numpy()
    draw = np.random.default_rng(0)
    shape = (IMAGES, *own.spec.event_shape)
    others = {SETS[other]: subset(data.test, IMAGES, 0) for other, data in prepared.items() if other != name} | {
        "noise": Split(draw.integers(0, 256, shape).astype(np.uint8), None),
        "flat greys": Split(
            np.full(shape, 1, np.uint8) * draw.integers(0, 256, (IMAGES, 1, 1, 1)).astype(np.uint8), None
        ),
    }

    def scores(split: Split) -> dict[str, np.ndarray]:
        detected = detect(detector, split, CPU)
        return detected.every | {
            "atypicality": atypicality(detected.score, known),
            "complexity_corrected": detected.score - complexity(split.x[:], own.spec),
            "likelihood_regret": likelihood_regret(trained.model, subset(split, SLOW, 0), 0, CPU),
        }

    usual = scores(subset(own.test, IMAGES, 0))
    figures = {}
    for other, split in others.items():
        odd = scores(split)
        figures[other] = {
            kind: float(
                roc_auc_score(np.repeat([0, 1], [len(usual[kind]), len(odd[kind])]), np.r_[usual[kind], odd[kind]])
            )
            for kind in TITLES
        }
    return figures


def page(kept: Kept) -> str:
    scores = kept["scores"]
    lines = [
        "# Images of another kind",
        "",
        f"Written by `make bench TABLE=out_of_distribution`: {scores['date']}; {scores['machine']}.",
        "",
        ABOVE,
    ]
    for name, found in scores["rows"].items():
        own, likelihood = name.split(", ")
        lines += [
            f"## Trained on {SETS[own]}, {likelihood}",
            "",
            f"| | {' | '.join(found)} |",
            "|---|" + "---:|" * len(found),
        ]
        lines += [
            f"| {title} | {' | '.join(f'{figures[kind]:.3f}' for figures in found.values())} |"
            for kind, title in TITLES.items()
        ]
        lines.append("")
    return "\n".join([*lines, BELOW])


ABOVE = f"""\
A model of densities isn't a detector of images that it never saw. Plain images are *likely* under a model of busy
ones (Nalisnick et al., *Do deep generative models know what they don't know?*, 2019): trained on Fashion-MNIST, a VAE
gives digits, most of whose pixels are black, a higher ELBO than clothes. An AUROC under 0.5 in the row −ELBO says so.

What to do, by these tables: take a likelihood of 8-bit values, `{{kind: discretised_logistic, components: 1}}`, and
subtract the image's complexity from −ELBO. It tells clothes from digits, and plain images and noise from both: what
differs in how well a PNG file compresses it. It is no detector of whatever is new: of sets that aren't in these tables,
measured apart, four came to AUROCs of .927, .840, .805 and .413, the last worse than chance. Likelihood regret comes
near it here at hundreds of times the cost. Of the scores in a bundle's graph `detect`, `reconstruction_error` tells
digits from clothes, but not a flat grey image from them: a decoder can draw that. Where it matters, keep some images of
the kind that is to be told, and measure.

Dense nets of 512 and 256, 32 latents, six epochs, one seed; {IMAGES:,} test images of each set (likelihood regret:
{SLOW:,}). AUROC of telling the test images of the training set from others; nothing was fitted to these.
"""
BELOW = """\
## The scores

- **Complexity correction**: −ELBO minus the length of the image as a PNG file, both in nats. A cross-entropy of grey
  pixels is no −ELBO of 8-bit values: what is subtracted from it then rules the score, and noise looks best of all.
- **Typicality**: the distance of −ELBO from its mean over held-back images, for single images.
- **Likelihood regret**: what the ELBO gains by optimising q(z | x) for the one image, in 60 steps of Adam.
- **Hottest part**: the mean deviance of an image's hottest 4 %, which is meant for small defects.
- The others are those of [detection](models/detection.md).

```python
from vae_pipeline.metrics.out_of_distribution import complexity
from vae_pipeline.runtime import Bundle

bundle = Bundle.load("exports/mine")
bundle.detect(images).score - complexity(images, bundle.spec)  # with detection.score: negative_elbo
```
"""
