"""Residual networks of one-dimensional convolutions, from recordings to features and back.

Each level but the last one of an encoder makes the time axis shorter by the stride, and each but the last one of a
decoder longer. A length that all the strides don't divide is padded with silence, and the answer is cropped.

    x + f(x), where f is a convolution over 3 samples that lie `dilation` apart, and one over a single sample; the
    dilations of a level's blocks are 1, 3, 9, ...

Source: Zeghidour, Luebs, Omran, Skoglund and Tagliasacchi, SoundStream, 2021, figure 3 (here normalised).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.nets.activation import activation
from vae_pipeline.models.nets.convolution import group_norm
from vae_pipeline.recipe.section import Activation

WIDE = 7  # samples of the convolutions next to the sound


class WaveformEncoder(nn.Module):
    """Recordings on [0, 1], and a label if there is one, to features."""

    def __init__(
        self, shape: Sequence[int], labels: int, channels: Sequence[int], stride: int, blocks: int, function: Activation
    ) -> None:
        super().__init__()
        steps = _steps(shape[1], stride, len(channels))
        self.missing = steps * stride ** (len(channels) - 1) - shape[1]
        layers: list[nn.Module] = [nn.Conv1d(shape[0] + labels, channels[0], WIDE, padding=WIDE // 2)]
        for before, after in pairwise(channels):
            shorter = nn.Conv1d(before, after, 2 * stride, stride=stride, padding=(stride + 1) // 2)
            layers += [*_blocks(before, blocks, function), shorter]
        self.layers = nn.Sequential(*layers, *_blocks(channels[-1], blocks, function), nn.Flatten())
        self.features = channels[-1] * steps

    def forward(
        self, x: Float[Tensor, "batch channels length"], label: Float[Tensor, "batch classes"] | None
    ) -> Float[Tensor, "batch features"]:
        """Features; a one-hot `label` joins the recording as constant channels."""
        x = 2 * x - 1  # silence is 0
        if label is not None:
            x = torch.cat([x, label.unsqueeze(-1).expand(-1, -1, x.shape[-1])], 1)
        if self.missing:
            x = nn.functional.pad(x, (0, self.missing))
        features: Tensor = self.layers(x)
        return features


class WaveformDecoder(nn.Module):
    """Features to `planes` numbers for each sample of a recording."""

    def __init__(
        self,
        features: int,
        shape: Sequence[int],
        planes: int,
        channels: Sequence[int],
        stride: int,
        blocks: int,
        function: Activation,
    ) -> None:
        super().__init__()
        self.shape = (planes, *shape)
        steps = _steps(shape[1], stride, len(channels))
        start = (channels[0], steps)
        layers: list[nn.Module] = [nn.Linear(features, channels[0] * steps), nn.Unflatten(1, start)]
        for before, after in pairwise(channels):
            padding = (stride + 1) // 2
            longer = nn.ConvTranspose1d(before, after, 2 * stride, stride, padding, output_padding=stride % 2)
            layers += [*_blocks(before, blocks, function), longer]
        layers += [*_blocks(channels[-1], blocks, function), group_norm(channels[-1]), activation(function)]
        self.layers = nn.Sequential(*layers, nn.Conv1d(channels[-1], planes * shape[0], WIDE, padding=WIDE // 2))

    def forward(self, z: Float[Tensor, "batch features"]) -> Float[Tensor, "batch planes channels length"]:
        """The parameters of the likelihood, not yet constrained."""
        output: Tensor = self.layers(z)[..., : self.shape[-1]].unflatten(1, self.shape[:2])
        return output


class _Block(nn.Module):
    def __init__(self, channels: int, dilation: int, function: Activation) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            group_norm(channels),
            activation(function),
            nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation),
            activation(function),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.layers(x)
        return added


def _blocks(channels: int, count: int, function: Activation) -> list[nn.Module]:
    return [_Block(channels, 3**index, function) for index in range(count)]


def _steps(length: int, stride: int, levels: int) -> int:
    """The length of the last level."""
    factor: int = stride ** (levels - 1)
    return -(-length // factor)
