"""Residual networks over the frames of a spectrogram, whose bands are channels: from frames to features and back.

A frame sees so many frames before and after itself, and all are computed alike: of a recording that is cut, each piece
with that much around it gives what the whole gives.

    x + f(x), where f is normalisation of each frame, a convolution over 3 frames that lie `dilation` apart, and one
    over a single frame; the dilations of the blocks are 1, 2, 4, ...

Normalised frames don't tell how loud they are, and what needs no change is to have a way past the blocks. So a frame,
on [-1, 1], is where the mean of its latents begins, value by value, and a decoder adds them to its first number of each
value. Nothing of that way is learned: weights of it that are would forget it in the first steps of Adam.

Source: Bai, Kolter and Koltun, An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
Modeling, 2018, for dilations and causal padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.nets.activation import activation
from vae_pipeline.models.nets.residual_blocks import EPSILON
from vae_pipeline.recipe.section import Activation

Frames = Float[Tensor, "batch _ frames"]
Label = Float[Tensor, "batch classes"] | None
KERNEL = 3  # frames of a convolution
SPREAD = 2.0  # the factor by which latents are wider than frames on [-1, 1]


@dataclass(frozen=True)
class Reach:
    """The frames that a frame sees beside itself."""

    before: int
    after: int


class FramesEncoder(nn.Module):
    """Spectrograms on [0, 1], and a label if there is one, to a map of features [batch, channels, 1, frames]: of the
    net, and where each of so many latents begins."""

    def __init__(
        self,
        shape: Sequence[int],
        labels: int,
        latents: int,
        width: int,
        blocks: int,
        function: Activation,
        causal: bool,
    ) -> None:
        super().__init__()
        self.layers = _net(shape[0] * shape[1] + labels, width, blocks, function, causal)
        self.latents = latents
        self.channels, self.side, self.reach = width + latents, (1, shape[2]), reach_of(blocks, causal)
        self.features = self.channels * shape[2]

    def forward(
        self, x: Float[Tensor, "batch channels bands frames"], label: Label
    ) -> Float[Tensor, "batch features 1 frames"]:
        """Features; a one-hot `label` joins every frame."""
        frames = given = 2 * x.flatten(1, 2) - 1
        if label is not None:
            given = torch.cat([frames, label.unsqueeze(-1).expand(-1, -1, frames.shape[-1])], 1)
        return torch.cat([self.layers(given), SPREAD * _of_size(frames, self.latents)], 1).unsqueeze(2)


class FramesDecoder(nn.Module):
    """A map of latents [batch, latents, 1, frames], flat, and a label if there is one, to `planes` numbers for each
    value of a spectrogram."""

    def __init__(
        self,
        latents: int,
        labels: int,
        shape: Sequence[int],
        planes: int,
        width: int,
        blocks: int,
        function: Activation,
        causal: bool,
    ) -> None:
        super().__init__()
        self.shape, self.latent_shape = (planes, *shape), (latents, 1, shape[2])
        self.reach = reach_of(blocks, causal)
        values = shape[0] * shape[1]
        self.layers = nn.Sequential(
            _net(latents + labels, width, blocks, function, causal), nn.Conv1d(width, planes * values, 1)
        )

    def forward(self, z: Float[Tensor, "batch features"]) -> Float[Tensor, "batch planes channels bands frames"]:
        """The parameters of the likelihood, not yet constrained."""
        latents, frames = self.latent_shape[0], self.latent_shape[2]
        mapped = z[:, : latents * frames].unflatten(1, (latents, frames))
        label = z[:, latents * frames :]
        return self.map(torch.cat([mapped, label.unsqueeze(-1).expand(-1, -1, frames)], 1))

    def map(self, z: Frames) -> Float[Tensor, "batch planes channels bands frames"]:
        """The same of any number of frames."""
        output = self.layers(z).unflatten(1, self.shape[:3])
        passed = _of_size(z[:, : self.latent_shape[0]], self.shape[1] * self.shape[2]) / (2 * SPREAD) + 0.5
        first = output[:, 0] + passed.unflatten(1, self.shape[1:3])
        return torch.cat([first.unsqueeze(1), output[:, 1:]], 1)


class _FrameNorm(nn.Module):
    """Normalisation over the channels of each frame (Ba, Kiros and Hinton, Layer Normalization, 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Frames) -> Frames:
        return nn.functional.layer_norm(x.mT, self.weight.shape, self.weight, self.bias, EPSILON).mT


class _Convolution(nn.Conv1d):
    """A convolution over frames around each; `causal`: over it and those before it."""

    def __init__(self, inputs: int, outputs: int, dilation: int, causal: bool) -> None:
        super().__init__(inputs, outputs, KERNEL, dilation=dilation)
        around = (KERNEL - 1) * dilation
        self.around = (around, 0) if causal else (around // 2, around // 2)

    def forward(self, input: Frames) -> Frames:
        return super().forward(nn.functional.pad(input, self.around))


class _Block(nn.Module):
    def __init__(self, channels: int, dilation: int, function: Activation, causal: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _FrameNorm(channels),
            activation(function),
            _Convolution(channels, channels, dilation, causal),
            activation(function),
            nn.Conv1d(channels, channels, 1),
        )

    def forward(self, x: Frames) -> Frames:
        added: Tensor = x + self.layers(x)
        return added


def _of_size(x: Frames, size: int) -> Frames:
    """The first channels, or all and zeros after them."""
    return x[:, :size] if x.shape[1] >= size else nn.functional.pad(x, (0, 0, 0, size - x.shape[1]))


def _net(inputs: int, width: int, blocks: int, function: Activation, causal: bool) -> nn.Sequential:
    return nn.Sequential(
        _Convolution(inputs, width, 1, causal),
        *(_Block(width, 2**block, function, causal) for block in range(blocks)),
        _FrameNorm(width),
        activation(function),
    )


def reach_of(blocks: int, causal: bool) -> Reach:
    """The frames that a frame of an encoder's features, or of a decoder's output, sees."""
    either = (KERNEL - 1) // 2 * (1 + sum(2**block for block in range(blocks)))
    return Reach(2 * either, 0) if causal else Reach(either, either)
