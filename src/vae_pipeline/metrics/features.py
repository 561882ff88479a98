"""Features of images for comparing sets of them: of a small classifier that is trained here, on the same data.

Where there are labels it tells them apart; where there are none, it tells an image from its mirrorings. What comes of
it is comparable within one data set alone, and is no FID: those are Inception's features.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.parts import at_once, batches
from vae_pipeline.models.nets.convolution import ConvolutionEncoder
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.numerics.adam import AdamW
from vae_pipeline.numerics.randomness import derive, seeded
from vae_pipeline.system.files import content_key, replace_file, sha256_of
from vae_pipeline.system.progress import counted

FEATURES = 64
ROWS = 512  # images at a time, whose inner values are a hundred times as many
CHANNELS = (32, 64)
STEPS, EPOCHS, BATCH, LEARNING_RATE, WARM_UP = 1500, 30, 128, 3e-3, 0.2
MIRRORINGS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))
# Code that determines the classifier, beside the data: one that other code trained isn't read again.
SOURCES = ("metrics/features.py", "numerics/adam.py", "models/nets/convolution.py", "models/nets/activation.py")
Array = npt.NDArray[Any]


class Classifier(nn.Module):
    """Raw images to features, and to classes."""

    def __init__(self, scaling: Scaling, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.scaling = scaling
        self.encoder = ConvolutionEncoder(shape, 0, CHANNELS, "silu")
        self.features = nn.Linear(self.encoder.features, FEATURES)
        self.classes = nn.Linear(FEATURES, classes)

    def forward(self, scaled: Tensor) -> Tensor:
        """Features [batch, 64] of images on [0, 1]."""
        features: Tensor = self.features(self.encoder(scaled, None))
        return features

    def logits(self, scaled: Tensor) -> Tensor:
        """Logits of the classes."""
        logits: Tensor = self.classes(nn.functional.silu(self(scaled)))
        return logits


@dataclass(frozen=True)
class Reference:
    """The trained classifier."""

    net: Classifier
    sha256: str
    """The digest of its weights."""
    accuracy: float
    """Its accuracy on the test part."""
    task: str
    """`labels`, or `mirrorings` where there are none."""

    @torch.inference_mode()
    def of(self, split: Split) -> Array:
        """Features [examples, 64] of raw images."""
        device = next(self.net.parameters()).device
        return np.concatenate([self.of_scaled(self.net.scaling(rows.x)) for rows in batches(split, device, "features")])

    @torch.inference_mode()
    def of_scaled(self, images: Tensor) -> Array:
        """Features of images on [0, 1]."""
        return np.concatenate([self.net(some).double().cpu().numpy() for some in images.split(ROWS)])


def reference(prepared: Prepared, home: Path, device: torch.device) -> Reference:
    """The classifier of these data: read from the cache, or trained; the same in either case."""
    spec = prepared.spec
    assert isinstance(spec, ImageSpec)  # a recipe says so
    labelled = prepared.train.labels is not None and len(np.unique(prepared.train.labels)) > 1
    classes = len(spec.classes) if labelled else len(MIRRORINGS)
    with seeded(derive(0, "features")):
        net = Classifier(Scaling(spec.low, spec.high), spec.event_shape, classes)
        key = _key(prepared.digest())
        path = home / "features" / f"{key}.safetensors"
        if not _read(net, path, key):
            _fit(net.to(device).train(), prepared.train, labelled)
            replace_file(path, save(_weights(net), metadata={"key": key, "sha256": _digest(_weights(net))}))
    net.to(device).eval()
    accuracy = _accuracy(net, prepared.test, labelled)
    return Reference(net, _digest(_weights(net)), accuracy, "labels" if labelled else "mirrorings")


def _key(data: str) -> str:
    package = Path(__file__).parent.parent
    code = [sha256_of(package / name) for name in SOURCES]
    return content_key([data, code, torch.__version__])


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


def _fit(net: Classifier, train: Split, labelled: bool) -> None:
    steps = min(STEPS, EPOCHS * max(1, len(train) // BATCH))
    optimizer = AdamW(net, weight_decay=0.01)
    draw = np.random.default_rng(derive(0, "features", "batches"))
    device = next(net.parameters()).device
    for step in counted("training of the classifier for features", range(steps)):
        rows = np.sort(draw.integers(0, len(train), min(BATCH, len(train))))
        images, labels = _task(net, train, rows, labelled, device)
        loss = nn.functional.cross_entropy(net.logits(images), labels)
        net.zero_grad()
        loss.backward()
        risen = min(1.0, (step + 1) / (WARM_UP * steps))
        optimizer.step(torch.tensor(LEARNING_RATE * risen * 0.5 * (1 + math.cos(math.pi * step / steps))))


def _task(
    net: Classifier, split: Split, rows: npt.NDArray[np.int64], labelled: bool, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Images on [0, 1] and what is to be told of them."""
    images = net.scaling(torch.from_numpy(split.x[rows]).to(device))
    if labelled:
        assert split.labels is not None
        return images, torch.from_numpy(split.labels[rows]).to(device)
    labels = torch.from_numpy(rows % len(MIRRORINGS)).to(device)
    turned = torch.stack([images.flip(axes) if axes else images for axes in MIRRORINGS])
    return turned[labels, torch.arange(len(rows), device=device)], labels


@torch.inference_mode()
def _accuracy(net: Classifier, split: Split, labelled: bool) -> float:
    right, rows = 0, at_once(split, 1024)
    device = next(net.parameters()).device
    for start in range(0, len(split), rows):
        chosen = np.arange(start, min(start + rows, len(split)))
        images, labels = _task(net, split, chosen, labelled, device)
        right += int((net.logits(images).argmax(1) == labels).sum())
    return right / len(split)
