"""Residual networks from an image of any height and width to a map, and from a map to an image.

Each level but the last halves the sides, so that a map is smaller than its image by the factor f = 2^(levels - 1).
Where f doesn't divide a side, the image is padded by repeating its last row or column, and the answer is cropped.

    image ── input ── level 1 ── level 2 ── ... ── middle ── norm ──> map         a level: blocks, then Shrink
    map   ── input ── middle ── level 1 ── level 2 ── ... ── norm ──> image       a level: blocks and one, then Grow

Names, order and sizes follow the AutoencoderKL of diffusers, which puts images on [-1, 1]: an encoder does so itself.
All is computed with the channels as the last axis in memory, which is fastest on GPUs and no slower on CPUs.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.nets.activation import activation
from vae_pipeline.models.nets.convolution import ToFewChannels
from vae_pipeline.models.nets.residual_blocks import REACH, Block, Grow, Map, Shrink, Style, middle

Label = Float[Tensor, "batch classes"] | None


class ResidualEncoder(nn.Module):
    """Images on [0, 1], and a label if there is one, to a map of features; `flat` to the same in one axis.

    With a shortcut the f x f pixels of a place are features too.
    """

    pixels: Tensor | None

    def __init__(
        self,
        shape: Sequence[int],
        labels: int,
        channels: Sequence[int],
        blocks: int,
        style: Style,
        flat: bool,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        self.factor, self.side = grid(shape, len(channels))
        passed = shape[0] * self.factor**2 if shortcut else 0
        each = torch.eye(passed).unflatten(1, (shape[0], self.factor, self.factor)) if shortcut else None
        self.register_buffer("pixels", each, persistent=False)  # a kernel, as runtimes lack `pixel_unshuffle`
        self.channels, self.flat = channels[-1] + passed, flat
        self.features = self.channels * math.prod(self.side)
        self.missing = [self.factor * n - side for n, side in zip(self.side, shape[1:], strict=True)]
        self.input = nn.Conv2d(shape[0] + labels, channels[0], 3, padding=1)
        self.levels = _levels(channels, blocks, style, Shrink)
        self.middle = middle(channels[-1], style)
        self.output = nn.Sequential(style.norm(channels[-1]), activation(style.function))
        self.radius = encoder_radius(len(channels), blocks) if style.bounded else None
        """Pixels beyond the f x f of a place that this place, and a 3x3 convolution at it, may see; None for all."""
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks this one

    def forward(
        self, x: Float[Tensor, "batch channels height width"], label: Label
    ) -> Float[Tensor, "batch features"] | Map:
        """Features of images of the trained size."""
        found = self.map(repeated(x, self.missing), label)
        return found.flatten(1) if self.flat else found

    def map(self, x: Float[Tensor, "batch channels height width"], label: Label) -> Map:
        """Features of images of any sides that f divides; a one-hot `label` joins them as constant channels."""
        x = 2 * x - 1
        state: Tensor = self.input(_joined(x, label).contiguous(memory_format=torch.channels_last))
        for level in self.levels:
            state = level(state)
        found: Tensor = self.output(self.middle(state))
        if self.pixels is None:
            return found
        return torch.cat([found, nn.functional.conv2d(x, self.pixels, stride=self.factor)], 1)


class ResidualDecoder(nn.Module):
    """Latents, and a label if there is one, to `planes` numbers for each value of an image.

    Latents of shape [channels, height, width] are the map that the net begins with, `pointwise` by a 1x1 convolution; a
    vector passes a linear layer. With a shortcut, a linear function of each place of the map, 0 at first, is added.
    """

    def __init__(
        self,
        latent_shape: Sequence[int],
        labels: int,
        shape: Sequence[int],
        planes: int,
        channels: Sequence[int],
        blocks: int,
        style: Style,
        pointwise: bool = False,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        self.factor, side = grid(shape, len(channels))
        self.shape, self.latent_shape = (planes, *shape), tuple(latent_shape)
        self.start: nn.Module | None = None
        self.mixed = nn.Conv2d(latent_shape[0], latent_shape[0], 1) if pointwise else nn.Identity()
        inputs = latent_shape[0] + labels
        if len(latent_shape) == 1:
            start = (channels[0], *side)
            self.start, inputs = nn.Sequential(nn.Linear(inputs, math.prod(start)), nn.Unflatten(1, start)), channels[0]
        self.input = nn.Conv2d(inputs, channels[0], 3, padding=1)
        self.middle = middle(channels[0], style)
        self.levels = _levels(channels, blocks + 1, style, Grow)
        self.output = nn.Sequential(
            style.norm(channels[-1]), activation(style.function), ToFewChannels(channels[-1], planes * shape[0])
        )
        self.shortcut: nn.Module | None = None
        if shortcut:
            linear = nn.ConvTranspose2d(latent_shape[0], planes * shape[0], self.factor, self.factor)
            for parameter in linear.parameters():
                nn.init.zeros_(parameter)
            self.shortcut = linear
        self.radius = decoder_radius(len(channels), blocks) if style.bounded else None
        """Places of the map beyond its own that a pixel may see; None for all."""
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks this one

    def forward(self, z: Float[Tensor, "batch features"]) -> Float[Tensor, "batch planes channels height width"]:
        """The parameters of the likelihood, not yet constrained, at the trained size; z is flat, a label after it."""
        if self.start is not None:
            found = self.map(self.start(z), None)
        else:
            latents = math.prod(self.latent_shape)
            found = self.map(z[:, :latents].unflatten(1, self.latent_shape), z[:, latents:])
        return found[..., : self.shape[2], : self.shape[3]]

    def map(self, z: Map, label: Label) -> Float[Tensor, "batch planes channels height width"]:
        """The same of a map of any height and width."""
        state: Tensor = self.input(_joined(self.mixed(z), label).contiguous(memory_format=torch.channels_last))
        state = self.middle(state)
        for level in self.levels:
            state = level(state)
        output: Tensor = self.output(state)
        if self.shortcut is not None:
            output = output + self.shortcut(z)
        parameters: Tensor = output.unflatten(1, self.shape[:2])
        return parameters


def grid(shape: Sequence[int], levels: int) -> tuple[int, tuple[int, int]]:
    """The factor of so many levels, and height and width of the map of an image [channels, height, width]."""
    factor: int = 2 ** (levels - 1)
    return factor, (-(-shape[1] // factor), -(-shape[2] // factor))


def encoder_radius(levels: int, blocks: int) -> int:
    """Pixels beyond the f x f of a place that the place may see, when a 3x3 convolution follows the net.

    From place 0 of the map down to the image: a 3x3 convolution widens what is seen by 1 to either side, and `Shrink`
    takes its places from twice the first to twice the last and 2 more.
    """
    first, last = _widened(0, 0, 1 + 2 * REACH)
    for level in reversed(range(levels)):
        if level + 1 < levels:
            first, last = 2 * first, 2 * last + 2
        first, last = _widened(first, last, blocks * REACH)
    first, last = _widened(first, last, 1)
    factor: int = 2 ** (levels - 1)
    return max(-first, last - (factor - 1))


def decoder_radius(levels: int, blocks: int) -> int:
    """Places of the map beyond its own that a pixel may see: from the f x f pixels of place 0 up to the map."""
    first, last = _widened(0, 2 ** (levels - 1) - 1, 1)
    for level in reversed(range(levels)):
        first, last = _widened(first, last, (blocks + 1) * REACH)
        if level:
            first, last = (side // 2 for side in _widened(first, last, 1))
    first, last = _widened(first, last, 1 + 2 * REACH)
    return max(-first, last)


def _widened(first: int, last: int, by: int) -> tuple[int, int]:
    return first - by, last + by


def _levels(channels: Sequence[int], blocks: int, style: Style, change: Callable[[int], nn.Module]) -> nn.ModuleList:
    """Blocks, then a change of size, for each level; the last keeps its size."""
    levels = [
        [Block(before, after, style), *(Block(after, after, style) for _ in range(blocks - 1)), change(after)]
        for before, after in pairwise([channels[0], *channels])
    ]
    del levels[-1][-1]
    return nn.ModuleList(nn.Sequential(*level) for level in levels)


def _joined(x: Map, label: Label) -> Map:
    """The map with a label's numbers as constant channels after its own."""
    if label is None or not label.shape[1]:
        return x
    return torch.cat([x, label[:, :, None, None].expand(-1, -1, x.shape[2], x.shape[3])], 1)


def repeated(x: Map, missing: Sequence[int]) -> Map:
    """Images or a map whose last row and column are repeated so many times; runtimes lack the padding that does so."""
    for axis, count in zip((2, 3), missing, strict=True):
        if count:
            x = torch.cat([x, *[x.narrow(axis, x.shape[axis] - 1, 1)] * count], axis)
    return x
