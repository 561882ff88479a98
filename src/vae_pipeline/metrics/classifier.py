"""A small classifier of images, trained here on the data's own: its inner values are features to compare images by.

Where there are labels it may tell them apart; where there are none, an image from its mirrorings.
"""

import hashlib
import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vae_pipeline.kinds.spec import AudioSpec, ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.parts import at_once
from vae_pipeline.models.scaling import AnyScaling
from vae_pipeline.numerics.adam import AdamW
from vae_pipeline.numerics.randomness import derive, in_float32
from vae_pipeline.system.files import content_key, replace_file, sha256_of
from vae_pipeline.system.progress import counted

STEPS, EPOCHS, BATCH, LEARNING_RATE, WARM_UP = 1500, 30, 128, 3e-3, 0.2
MIRRORINGS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))
# Code that determines a classifier, beside its own and the data: one that other code trained isn't read again.
SOURCES = (
    "metrics/classifier.py", "numerics/adam.py", "models/nets/convolution.py", "models/nets/activation.py",
    "models/sound/view.py", "models/sound/mel.py",
)  # fmt: skip
Task = Literal["labels", "mirrorings"]


class Classifier(nn.Module, ABC):
    """Images, or recordings heard as such, to logits of classes."""

    def __init__(self, scaling: AnyScaling) -> None:
        super().__init__()
        self.scaling = scaling

    @abstractmethod
    def logits(self, scaled: Tensor) -> Tensor:
        """Logits of the classes, of images on [0, 1]."""


AnyClassifier = TypeVar("AnyClassifier", bound=Classifier)


def task_of(prepared: Prepared) -> Task:
    """The question that a classifier of these data is asked."""
    labels = prepared.train.labels
    return "labels" if labels is not None and len(np.unique(labels)) > 1 else "mirrorings"


def classes_of(spec: ImageSpec | AudioSpec, task: Task) -> int:
    """The number of classes that it tells apart."""
    return len(spec.classes) if task == "labels" else len(MIRRORINGS)


def trained(
    net: AnyClassifier, prepared: Prepared, task: Task, name: str, source: str, home: Path, device: torch.device
) -> AnyClassifier:
    """The net read from the cache or, from its fresh weights, trained; the same in either case.

    `name` is of its draws, and `source` the module that it is defined in.
    """
    key = _key(prepared.digest(), source, task)
    path = home / "features" / f"{key}.safetensors"
    if not _read(net, path, key):
        with in_float32():
            _fit(net.to(device).train(), prepared.train, task, name)
        replace_file(path, save(_weights(net), metadata={"key": key, "sha256": digest(net)}))
    return net.to(device).eval()


def digest(net: Classifier) -> str:
    """The sha256 of its weights."""
    return _digest(_weights(net))


@torch.inference_mode()
def accuracy(net: Classifier, split: Split, task: Task) -> float:
    """The share of images that it names rightly."""
    right, rows = 0, at_once(split, 1024)
    device = next(net.parameters()).device
    for start in range(0, len(split), rows):
        chosen = np.arange(start, min(start + rows, len(split)))
        images, labels = _posed(net, split, chosen, task, device)
        right += int((net.logits(images).argmax(1) == labels).sum())
    return right / len(split)


def _key(data: str, source: str, task: Task) -> str:
    package = Path(__file__).parent.parent
    code = [sha256_of(package / name) for name in (source, *SOURCES)]
    return content_key([data, code, task, torch.__version__])


def _weights(net: Classifier) -> dict[str, Tensor]:
    return {name: tensor.cpu().contiguous() for name, tensor in net.state_dict().items()}


def _digest(weights: dict[str, Tensor]) -> str:
    return hashlib.sha256(save(weights)).hexdigest()


def _read(net: Classifier, path: Path, key: str) -> bool:
    """Load the weights, if they are those that were kept under this key; else they are trained anew."""
    try:
        with safe_open(path, framework="pt") as file:
            told = file.metadata()
        weights = load_file(path)
    except (OSError, SafetensorError):  # not there, or not whole
        return False
    if told != {"key": key, "sha256": _digest(weights)}:
        return False
    net.load_state_dict(weights)
    return True


def _fit(net: Classifier, train: Split, task: Task, name: str) -> None:
    steps = min(STEPS, EPOCHS * max(1, len(train) // BATCH))
    optimizer = AdamW(net, weight_decay=0.01)
    draw = np.random.default_rng(derive(0, name, "batches"))
    device = next(net.parameters()).device
    for step in counted("training of the classifier for features", range(steps)):
        rows = np.sort(draw.integers(0, len(train), min(BATCH, len(train))))
        images, labels = _posed(net, train, rows, task, device)
        loss = nn.functional.cross_entropy(net.logits(images), labels)
        net.zero_grad()
        loss.backward()
        risen = min(1.0, (step + 1) / (WARM_UP * steps))
        optimizer.step(torch.tensor(LEARNING_RATE * risen * 0.5 * (1 + math.cos(math.pi * step / steps))))


def _posed(
    net: Classifier, split: Split, rows: npt.NDArray[np.int64], task: Task, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Images on [0, 1] and what is to be told of them."""
    images = net.scaling(torch.from_numpy(split.x[rows]).to(device))
    if task == "labels":
        assert split.labels is not None
        return images, torch.from_numpy(split.labels[rows]).to(device)
    labels = torch.from_numpy(rows % len(MIRRORINGS)).to(device)
    turned = torch.stack([images.flip(axes) if axes else images for axes in MIRRORINGS])
    return turned[labels, torch.arange(len(rows), device=device)], labels
