"""Features of images and sound for comparing sets of them: of a small classifier, trained here on the same data.

Where there are labels it tells them apart; where there are none, it tells an image from its mirrorings. Sound is heard
as an image, a mel spectrogram, in whatever view its model sees it. What comes of it is comparable within one data set
alone, and is no FID: those are Inception's features.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vae_pipeline.kinds.spec import AudioSpec, ImageSpec
from vae_pipeline.kinds.store import Prepared, Split
from vae_pipeline.metrics.classifier import Classifier, Task, accuracy, classes_of, digest, task_of, trained
from vae_pipeline.metrics.parts import batches
from vae_pipeline.metrics.sound import frame_of
from vae_pipeline.models.nets.convolution import ConvolutionEncoder
from vae_pipeline.models.scaling import AnyScaling, Scaling, resounded
from vae_pipeline.models.sound.mel import most_bands
from vae_pipeline.models.sound.view import SpectrogramScaling
from vae_pipeline.numerics.randomness import derive, seeded

FEATURES = 64
RECORDINGS = 64  # at a time, whose phases are found
BANDS = 40  # of the spectrograms in which sound is heard
ROWS = 512  # images at a time, whose inner values are a hundred times as many
CHANNELS = (32, 64)
Array = npt.NDArray[Any]


class ReferenceClassifier(Classifier):
    """Raw images or recordings to features, and to classes."""

    def __init__(self, scaling: Scaling | SpectrogramScaling, shape: tuple[int, ...], classes: int) -> None:
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

    @torch.inference_mode()
    def of_answers(self, scaling: AnyScaling, values: Tensor, x: Tensor | None = None) -> Array:
        """Features of a model's answers, which are scaled by its `scaling`; of answers to raw `x`, by its phases."""
        if not isinstance(self.net.scaling, SpectrogramScaling):
            return self.of_scaled(values)
        found = []
        for rows in torch.arange(len(values)).split(RECORDINGS):
            some = values[rows]
            sound = scaling.inverse(some) if x is None else resounded(scaling, some, x[rows])
            found.append(self.of_scaled(self.net.scaling(sound)))
        return np.concatenate(found)

    @torch.inference_mode()
    def class_of_answers(self, scaling: AnyScaling, values: Tensor) -> Tensor:
        """The likeliest class [examples] of a model's answers, which are scaled by its `scaling`."""
        heard = isinstance(self.net.scaling, SpectrogramScaling)
        return self.net.logits(self.net.scaling(scaling.inverse(values)) if heard else values).argmax(1)


def reference(prepared: Prepared, home: Path, device: torch.device) -> Reference:
    """The classifier of these data: read from the cache, or trained; the same in either case."""
    spec, task = prepared.spec, task_of(prepared)
    assert isinstance(spec, ImageSpec | AudioSpec)  # others have no such figures
    scaling = heard(spec) if isinstance(spec, AudioSpec) else Scaling(spec.low, spec.high)
    shape = scaling.shape if isinstance(scaling, SpectrogramScaling) else spec.event_shape
    with seeded(derive(0, "features")):
        net = ReferenceClassifier(scaling, shape, classes_of(spec, task))
    net = trained(net, prepared, task, "features", "metrics/features.py", home, device)
    return Reference(net, digest(net), accuracy(net, prepared.test, task), task)


def heard(spec: AudioSpec) -> SpectrogramScaling:
    """The mel spectrogram in which recordings are heard, whatever view a model has: frames of about 32 ms."""
    frame = frame_of(spec.rate_hz)
    bands = min(BANDS, most_bands(frame // 2 + 1, spec.rate_hz))
    return SpectrogramScaling((spec.channels, spec.length), spec.rate_hz, frame, frame // 2, bands, -80.0, 1)
