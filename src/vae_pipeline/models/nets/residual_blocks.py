"""The parts of a residual network over maps of any height and width: blocks, attention, and the two changes of size.

A block is x + f(x), where f is normalisation, activation and convolution, twice (He et al., Identity Mappings in Deep
Residual Networks, 2016). Their shapes and order are those of the AutoencoderKL of diffusers (docs/models/spatial.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vae_pipeline.models.nets.activation import activation
from vae_pipeline.recipe.section import Activation

Map = Float[Tensor, "batch _ _ _"]
GROUPS = 32  # of a group normalisation, where they divide the channels
EPSILON = 1e-6  # added to a variance
REACH = 2  # places to either side that a block sees, by its two convolutions


@dataclass(frozen=True)
class Style:
    """The choices that all blocks of a net share."""

    function: Activation
    groups: int | None
    """Groups of a normalisation over the whole image; None for one at each place."""
    attention: bool
    """True for attention between the middle blocks."""
    checkpointing: bool
    """True to compute a block again for its gradient, instead of keeping what lies within it."""

    @property
    def bounded(self) -> bool:
        """True if a place sees a part of the image alone."""
        return self.groups is None and not self.attention

    def norm(self, channels: int) -> nn.Module:
        """A normalisation of so many channels."""
        return PlaceNorm(channels) if self.groups is None else nn.GroupNorm(self.groups, channels, EPSILON)


def groups_of(channels: Sequence[int]) -> int:
    """The groups of a group normalisation: 32, or as many as divide each of these channels."""
    return math.gcd(GROUPS, *channels)


class PlaceNorm(nn.Module):
    """Normalisation over the channels of each place, so that a shifted image has shifted features.

    Source: Ba, Kiros and Hinton, Layer Normalization, 2016, here of each place by itself.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Map) -> Map:
        """Mean 0 and variance 1 over the channels, then a learned stretch and shift of each."""
        last = x.permute(0, 2, 3, 1)
        return nn.functional.layer_norm(last, self.weight.shape, self.weight, self.bias, EPSILON).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A residual block; where the number of channels changes, x passes a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, style: Style) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            style.norm(inputs),
            activation(style.function),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            style.norm(outputs),
            activation(style.function),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.checkpointing = style.checkpointing

    def forward(self, x: Map) -> Map:
        """x + f(x)."""
        if self.checkpointing and self.training and torch.is_grad_enabled():
            # Nothing in a block is random, so that no generator has to be set back.
            again: Tensor = checkpoint(self._added, x, use_reentrant=False, preserve_rng_state=False)
            return again
        return self._added(x)

    def _added(self, x: Tensor) -> Tensor:
        added: Tensor = self.shortcut(x) + self.layers(x)
        return added


class Attention(nn.Module):
    """x + attention of every place to every other, with one head (Vaswani et al., Attention Is All You Need, 2017)."""

    def __init__(self, channels: int, style: Style) -> None:
        super().__init__()
        self.norm = style.norm(channels)
        self.query, self.key, self.value, self.output = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x: Map) -> Map:
        """Cost and memory grow with the square of the number of places."""
        places = self.norm(x).flatten(2).mT.unsqueeze(1)
        seen = nn.functional.scaled_dot_product_attention(self.query(places), self.key(places), self.value(places))
        added: Tensor = x + self.output(seen).squeeze(1).mT.unflatten(2, x.shape[2:])
        return added


class Shrink(nn.Conv2d):
    """Half the height and width: a convolution of stride 2, padded at the far edges alone."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, stride=2)

    def forward(self, input: Map) -> Map:
        """Places 2i, 2i + 1 and 2i + 2 make place i."""
        return super().forward(nn.functional.pad(input, (0, 1, 0, 1)))


class Grow(nn.Conv2d):
    """Twice the height and width: each place four times, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, input: Map) -> Map:
        """Places 2i and 2i + 1 are made of place i and its neighbours."""
        return super().forward(nn.functional.interpolate(input, scale_factor=2.0, mode="nearest"))


def middle(channels: int, style: Style) -> nn.Sequential:
    """The blocks at the lowest resolution."""
    between = [Attention(channels, style)] if style.attention else []
    return nn.Sequential(Block(channels, channels, style), *between, Block(channels, channels, style))
