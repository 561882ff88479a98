"""The network whose features a perceptual distance is taken in: one that is trained here, or the user's own.

The trained one is never the one that the Fréchet distance is measured in (`metrics.features`): it starts from another
seed, and has no linear layer but the last, no normalisation and maps of three sizes, where that one has one vector.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.classifier import (
    MIRRORINGS,
    Classifier,
    Task,
    accuracy,
    classes_of,
    task_of,
    trained,
)
from vae_pipeline.models.nets.convolution import fitting
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.system.errors import RecipeError

CHANNELS = (16, 32, 64)


class MapClassifier(Classifier):
    """Images to maps of features, the first as large as the image, and each other half as large as the one before."""

    def __init__(self, scaling: Scaling, shape: Sequence[int], classes: int) -> None:
        super().__init__(scaling)
        halved = fitting(shape[1:], len(CHANNELS) - 1, smallest=4)
        widths = [shape[0], *CHANNELS[: halved + 1]]
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, stride=1 if level == 0 else 2, padding=1), nn.SiLU())
            for level, (before, after) in enumerate(pairwise(widths))
        )
        self.classes = nn.Linear(widths[-1], classes)

    def forward(self, scaled: Tensor) -> list[Tensor]:
        """The maps, of images on [0, 1]."""
        maps = [scaled]
        for level in self.levels:
            maps.append(level(maps[-1]))
        return maps[1:]

    def logits(self, scaled: Tensor) -> Tensor:
        """Logits of the classes, from the last map's averages."""
        logits: Tensor = self.classes(self(scaled)[-1].mean((2, 3)))
        return logits


def trained_features(
    prepared: Prepared, home: Path, device: torch.device, warn: Callable[[str], None]
) -> MapClassifier:
    """A classifier of these data that has learned: by their labels or, where it can't, by mirrorings.

    Raises:
        RecipeError: neither can be learned.
    """
    spec = prepared.spec
    assert isinstance(spec, ImageSpec)  # a recipe says so
    first = task_of(prepared)
    tasks: tuple[Task, ...] = ("labels", "mirrorings") if first == "labels" else ("mirrorings",)
    held_out = prepared.valid if len(prepared.valid) else prepared.test
    said: list[str] = []
    for task in tasks:
        with seeded(derive(0, "sharpness")):
            net = MapClassifier(Scaling(spec.low, spec.high), spec.event_shape, classes_of(spec, task))
        net = trained(net, prepared, task, "sharpness", "training/sharpness/features.py", home, device)
        found, chance = accuracy(net, held_out, task), commonest(held_out, task)
        if has_learned(found, chance, len(held_out)):
            for each in said:
                warn(f"{each}; train.sharpness.perceptual compares images in features of one that tells {task} apart")
            return net.requires_grad_(False)
        said.append(
            f"a classifier can't learn the {task} of these images (it names {found:.1%} of held-back ones rightly, and "
            f"the commonest answer alone {chance:.1%})"
        )
    raise RecipeError(
        f"train.sharpness.perceptual.features: trained: {'; '.join(said)}: give an ONNX file, or set perceptual to null"
    )


def commonest(split: Split, task: Task) -> float:
    """The accuracy of naming the commonest class always."""
    if task == "mirrorings":
        return 1 / len(MIRRORINGS)
    assert split.labels is not None
    return float(np.bincount(split.labels).max() / len(split))


def has_learned(accuracy: float, chance: float, examples: int) -> bool:
    """True from a tenth of the way from chance to 1 on, if that is beyond three standard errors of chance too."""
    error = math.sqrt(chance * (1 - chance) / examples)
    return accuracy >= chance + max(0.1 * (1 - chance), 3 * error)
