"""Convolutional networks of stride 2, for images of any height and width."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.nets.activation import activation, outputs
from vae_pipeline.recipe.section import Activation

FEW = 3  # output channels up to which the product and the fold were found faster
COARSE = 8  # averages along a side that a shortcut takes of an image, at most


class ConvolutionEncoder(nn.Module):
    """Images, and a label if there is one, to features; each layer halves height and width.

    With a shortcut, averages over squares of the image are features too.
    """

    def __init__(
        self,
        shape: Sequence[int],
        labels: int,
        channels: Sequence[int],
        function: Activation,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        height, width = _sides(shape[1:], len(channels))[-1]
        widths = [shape[0] + labels, *channels]
        wider = outputs(function)
        blocks = [
            nn.Sequential(
                nn.Conv2d(before, wider * after, 3, stride=2, padding=1),
                group_norm(wider * after),
                activation(function),
            )
            for before, after in pairwise(widths)
        ]
        self.layers = nn.Sequential(*blocks, nn.Flatten())
        self.features = channels[-1] * height * width
        self.squares = [math.ceil(side / COARSE) for side in shape[1:]] if shortcut else None
        if self.squares is not None:
            self.features += shape[0] * math.prod(
                side // square for side, square in zip(shape[1:], self.squares, strict=True)
            )

    def forward(
        self, x: Float[Tensor, "batch channels height width"], label: Float[Tensor, "batch classes"] | None
    ) -> Float[Tensor, "batch features"]:
        """Features; a one-hot `label` joins the image as constant channels."""
        image = x
        if label is not None:
            planes = label[:, :, None, None].expand(-1, -1, x.shape[2], x.shape[3])
            x = torch.cat([x, planes], 1)
        features: Tensor = self.layers(x)
        if self.squares is None:
            return features
        return torch.cat([features, nn.functional.avg_pool2d(image, self.squares).flatten(1)], 1)


class ConvolutionDecoder(nn.Module):
    """Features to `planes` numbers for each value of an image; each layer doubles height and width.

    With a shortcut, a linear function of the features, 0 at first, is added to what the layers give.
    """

    def __init__(
        self,
        features: int,
        shape: Sequence[int],
        planes: int,
        channels: Sequence[int],
        function: Activation,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        sides = _sides(shape[1:], len(channels))[::-1]
        wider = outputs(function)
        self.start = (wider * channels[0], *sides[0])
        self.shape = (planes, *shape)
        self.input = nn.Linear(features, self.start[0] * sides[0][0] * sides[0][1])
        modules: list[nn.Module] = [group_norm(self.start[0]), activation(function)]
        widths = [*channels, channels[-1]]
        for before, after, small, large in zip(widths[:-1], widths[1:], sides[:-1], sides[1:], strict=True):
            # An odd side 2n - 1 and an even one 2n both shrink to n; the padding tells them apart.
            extra = (large[0] - (2 * small[0] - 1), large[1] - (2 * small[1] - 1))
            up = nn.ConvTranspose2d(before, wider * after, 3, stride=2, padding=1, output_padding=extra)
            modules += [up, group_norm(wider * after), activation(function)]
        self.layers = nn.Sequential(*modules)
        self.output = ToFewChannels(channels[-1], planes * shape[0])
        self.shortcut = nn.Linear(features, planes * math.prod(shape)) if shortcut else None
        if self.shortcut is not None:
            nn.init.zeros_(self.shortcut.weight)
            nn.init.zeros_(self.shortcut.bias)

    def forward(self, z: Float[Tensor, "batch features"]) -> Float[Tensor, "batch planes channels height width"]:
        """The parameters of the likelihood, not yet constrained."""
        output: Tensor = self.output(self.layers(self.input(z).unflatten(1, self.start)))
        parameters: Tensor = output.unflatten(1, self.shape[:2])
        if self.shortcut is None:
            return parameters
        linear: Tensor = self.shortcut(z).unflatten(1, self.shape)
        return parameters + linear


class ToFewChannels(nn.Conv2d):
    """A 3x3 convolution that keeps height and width, and is fast on a CPU where it has few output channels.

    There oneDNN's kernels reach a fraction of their speed. A matrix product gives, at every place, the nine
    contributions to its neighbours, and `fold` adds them up: a quarter of the time for one channel.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, input: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs height width"]:
        """The convolution."""
        if self.out_channels > FEW or input.device.type != "cpu" or torch.compiler.is_compiling():
            convolved: Tensor = super().forward(input)
            return convolved
        assert self.bias is not None
        weight = self.weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2)  # a fold scatters where this one gathers
        spread = torch.bmm(weight.expand(len(input), -1, -1), input.flatten(2))
        folded = nn.functional.fold(spread, input.shape[2:], 3, padding=1)
        return folded + self.bias[:, None, None]


def _sides(shape: Sequence[int], layers: int) -> list[tuple[int, int]]:
    """Height and width before each layer and after the last."""
    sides = [(shape[0], shape[1])]
    for _ in range(layers):
        sides.append(((sides[-1][0] + 1) // 2, (sides[-1][1] + 1) // 2))
    return sides


def fitting(shape: Sequence[int], layers: int, smallest: int | None) -> int:
    """The number of layers, of so many, that leave no side of the map under `smallest`; one at least."""
    return layers if smallest is None else max(1, sum(min(sides) >= smallest for sides in _sides(shape, layers)[1:]))


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation (Wu and He, 2018) in groups of at least 8 channels, where they divide evenly."""
    groups = max(1, channels // 8)
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)
