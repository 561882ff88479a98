"""Features of images for comparing sets of them: of a small classifier that is trained here, on the same data.

Where there are labels it tells them apart; where there are none, it tells an image from its mirrorings. What comes of
it is comparable within one data set alone, and is no FID: those are Inception's features.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.classifier import Classifier, Task, accuracy, classes_of, digest, task_of, trained
from vae_pipeline.metrics.parts import batches
from vae_pipeline.models.nets.convolution import ConvolutionEncoder
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.numerics.randomness import derive, seeded

FEATURES = 64
ROWS = 512  # images at a time, whose inner values are a hundred times as many
CHANNELS = (32, 64)
Array = npt.NDArray[Any]


class ReferenceClassifier(Classifier):
    """Raw images to features, and to classes."""

    def __init__(self, scaling: Scaling, shape: tuple[int, ...], classes: int) -> None:
        super().__init__(scaling)
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

    net: ReferenceClassifier
    sha256: str
    """The digest of its weights."""
    accuracy: float
    """Its accuracy on the test part."""
    task: Task
    """`labels`, or `mirrorings` where there are none."""

    @torch.inference_mode()
    def of(self, split: Split) -> Array:
        """Features [examples, 64] of raw images."""
        device = next(self.net.parameters()).device
        parts = batches(split.clean, device, "features")
        return np.concatenate([self.of_scaled(self.net.scaling(rows.x)) for rows in parts])

    @torch.inference_mode()
    def of_scaled(self, images: Tensor) -> Array:
        """Features of images on [0, 1]."""
        return np.concatenate([self.net(some).double().cpu().numpy() for some in images.split(ROWS)])


def reference(prepared: Prepared, home: Path, device: torch.device) -> Reference:
    """The classifier of these data: read from the cache, or trained; the same in either case."""
    spec, task = prepared.spec, task_of(prepared)
    assert isinstance(spec, ImageSpec)  # a recipe says so
    with seeded(derive(0, "features")):
        net = ReferenceClassifier(Scaling(spec.low, spec.high), spec.event_shape, classes_of(spec, task))
    net = trained(net, prepared, task, "features", "metrics/features.py", home, device)
    return Reference(net, digest(net), accuracy(net, prepared.test, task), task)
