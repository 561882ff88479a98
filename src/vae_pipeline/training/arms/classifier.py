"""The classifier of an arm: a small network, trained for equal steps from equal weights in every arm of a repeat.

All arms of a repeat see the same rows in the same order, but for the arm that draws classes alike; they differ in what
is made of those rows.
"""

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.classifier import Classifier
from vae_pipeline.metrics.features import ReferenceClassifier
from vae_pipeline.metrics.parts import batches
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.adam import AdamW
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.recipe.study import Arm, Study
from vae_pipeline.system.progress import counted
from vae_pipeline.training.arms.generator import between, new_images, variants
from vae_pipeline.training.arms.own_classifier import OwnClassifier, own_classifier
from vae_pipeline.training.augmentation import Augmentation

LEARNING_RATE, WARM_UP, WEIGHT_DECAY = 3e-3, 0.2, 0.01
MIXUP = 0.2
"""Both parameters of the Beta distribution of mixup's weights (Zhang et al., 2018, section 4.1)."""
AnyArm = Arm | Literal["none", "synthetic"]
"""`synthetic`: nothing but a VAE's new images, as many as the other arms have real ones."""


def fit_classifier(
    study: Study, arm: AnyArm, labelled: Split, generator: VAE | None, spec: ImageSpec, seed: int, device: torch.device
) -> Classifier:
    """A classifier that has learned from the labelled set, in the way of `arm`; `generator` is for those that need one.

    `seed` is the repeat's, and so gives the initial weights, the order of rows and the noise of all its arms.
    """
    with seeded(derive(seed, "classifier")):
        net = _network(study, spec).to(device)
    optimizer = AdamW(net, weight_decay=WEIGHT_DECAY)
    feed = _Feed(study, arm, labelled, generator, net.scaling, len(spec.classes), seed, device)
    with seeded(derive(seed, "arm")):
        for step in counted(f"training of a classifier, {arm}", range(study.steps)):
            images, target = feed()
            each = -(target * net.logits(images).log_softmax(1)).sum(1)
            net.zero_grad()
            each.mean().backward()
            risen = min(1.0, (step + 1) / (WARM_UP * study.steps))
            optimizer.step(torch.tensor(LEARNING_RATE * risen * 0.5 * (1 + math.cos(math.pi * step / study.steps))))
    return net.eval()


def _network(study: Study, spec: ImageSpec) -> Classifier:
    scaling, classes = Scaling(spec.low, spec.high), len(spec.classes)
    if study.classifier is not None:
        return OwnClassifier(scaling, own_classifier(study.classifier)(spec.shape, classes))
    return ReferenceClassifier(scaling, spec.shape, classes)


@torch.inference_mode()
def probabilities(net: Classifier, split: Split, device: torch.device) -> npt.NDArray[Any]:
    """p(class | image) of each image, [examples, classes]."""
    parts = batches(split.clean, device, "probabilities")
    return np.concatenate([net.logits(net.scaling(rows.x)).softmax(1).double().cpu().numpy() for rows in parts])


class _Feed:
    """The batches of an arm: images on [0, 1] and targets [batch, classes], which weights of classes may scale."""

    def __init__(
        self,
        study: Study,
        arm: AnyArm,
        labelled: Split,
        generator: VAE | None,
        scaling: nn.Module,
        classes: int,
        seed: int,
        device: torch.device,
    ) -> None:
        assert labelled.labels is not None  # the study says so
        self.study, self.arm, self.generator, self.scaling = study, arm, generator, scaling
        self.x, self.labels = torch.from_numpy(labelled.x[:]).to(device), torch.from_numpy(labelled.labels).to(device)
        self.classes = classes
        self.members = [np.flatnonzero(labelled.labels == each) for each in range(classes)]
        self.present = [each for each, rows in enumerate(self.members) if len(rows)]
        self.order = np.random.default_rng(derive(seed, "rows"))
        self.draw = np.random.default_rng(derive(seed, "draws", arm))

    def __call__(self) -> tuple[Tensor, Tensor]:
        study, arm = self.study, self.arm
        rows = torch.from_numpy(self._rows()).to(self.x.device)
        x, label = self.x[rows], self.labels[rows]
        if arm in ("geometric", "geometric_vae"):
            moved = Augmentation.draw(study.geometric, len(rows), torch.default_generator, x.device)
            real = moved(x, torch.arange(len(rows), device=x.device))
        else:
            real = x
        images = self.scaling(real)
        made = self._made(x, label)
        if made is not None:
            images = torch.cat([images[: len(images) - len(made)], made])
        target = nn.functional.one_hot(label, self.classes).float()
        if arm == "class_weights":
            target = target * self._weights()[label, None]
        if arm == "mixup":
            other = torch.from_numpy(self.draw.permutation(len(rows))).to(x.device)
            weight = float(self.draw.beta(MIXUP, MIXUP))
            images, target = images.lerp(images[other], weight), target.lerp(target[other], weight)
        return images, target

    def _rows(self) -> npt.NDArray[np.int64]:
        if self.arm != "oversampling":
            return self.order.integers(0, len(self.labels), self.study.batch)
        labels = self.order.choice(self.present, self.study.batch)
        return np.array([self.order.choice(self.members[label]) for label in labels])

    def _weights(self) -> Tensor:
        """The weight of each class: all classes count alike, and a batch counts as much as without."""
        counts = np.array([len(rows) for rows in self.members])
        weights = np.where(counts > 0, len(self.labels) / (len(self.present) * np.maximum(counts, 1)), 0.0)
        return torch.from_numpy(weights).float().to(self.x.device)

    @torch.no_grad()
    def _made(self, x: Tensor, label: Tensor) -> Tensor | None:
        """The generator's images in the place of the batch's last rows, whose labels they have; None in other arms."""
        if self.generator is None:
            return None
        count = len(x) if self.arm == "synthetic" else max(1, round(self.study.share * len(x)))
        x, label = x[-count:], label[-count:]
        match self.arm:
            case "vae_prior" | "synthetic":
                return new_images(self.generator, label)
            case "vae_posterior" | "geometric_vae":
                return variants(self.generator, x, label, self.study.spread)
            case "vae_interpolation":
                mates = [self.draw.choice(self.members[each]) for each in label.tolist()]
                return between(self.generator, x, self.x[mates], label)
            case _:
                return None
