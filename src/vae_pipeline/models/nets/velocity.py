"""Velocities: small networks that say where latents on their way from noise move to."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

FREQUENCIES = 8
SMALLEST = 4  # places: a map is halved until a side is no larger, so that each place sees all others
Layer = TypeVar("Layer", bound=nn.Module)
Moment = Float[Tensor, "times moment"]
State = Float[Tensor, "batch width *place"]


def moments(angle: Float[Tensor, " times"]) -> Moment:
    """A time between 0 and pi/2 as the numbers that a network is told: sines and cosines of its multiples."""
    multiples = angle[:, None] * torch.arange(1, FREQUENCIES + 1, dtype=angle.dtype, device=angle.device)
    return torch.cat([multiples.sin(), multiples.cos()], 1)


class DenseVelocity(nn.Module):
    """Fully connected residual layers that are told the time; at first the velocity is 0."""

    def __init__(self, latents: int, layers: int, width: int) -> None:
        super().__init__()
        self.input = nn.Linear(latents, width)
        self.layers = _Layers(nn.Linear, layers, width)
        self.output = _zero(nn.Linear(width, latents))

    def forward(self, z: Float[Tensor, "batch latents"], moment: Moment) -> Float[Tensor, "batch latents"]:
        """The velocity at `z`; there is one moment, or one for each row."""
        velocity: Tensor = self.output(nn.functional.silu(self.layers(self.input(z), moment)))
        return velocity


class MapVelocity(nn.Module):
    """The same of a map of latents: residual convolutions at the map's size, at half of it, and so on, and back.

    Source: Ronneberger, Fischer and Brox, U-Net, 2015; here what was kept on the way down is added on the way up.
    """

    def __init__(self, shape: Sequence[int], layers: int, width: int) -> None:
        super().__init__()
        channels, *side = shape
        self.shape, halvings = tuple(shape), 0
        while min(side) > SMALLEST:
            side, halvings = [(each + 1) // 2 for each in side], halvings + 1
        self.input = _convolution(channels, width)
        self.down = nn.ModuleList(_Layers(_convolution, layers, width) for _ in range(halvings))
        self.shrink = nn.ModuleList(_convolution(width, width, stride=2) for _ in range(halvings))
        self.up = nn.ModuleList(_Layers(_convolution, layers, width) for _ in range(halvings))
        self.grow = nn.ModuleList(_convolution(width, width) for _ in range(halvings))
        self.layers = _Layers(_convolution, layers, width)
        self.output = _zero(_convolution(width, channels))

    def forward(self, z: Float[Tensor, "batch latents"], moment: Moment) -> Float[Tensor, "batch latents"]:
        """The velocity at `z`, which is flat."""
        state, kept = self.input(z.unflatten(1, self.shape)), []
        for layers, shrink in zip(self.down, self.shrink, strict=True):
            kept.append(layers(state, moment))
            state = shrink(kept[-1])
        state = self.layers(state, moment)
        for layers, grow, finer in reversed(list(zip(self.up, self.grow, kept, strict=True))):
            wider = nn.functional.interpolate(state, scale_factor=2.0, mode="nearest")
            state = layers(finer + grow(wider)[..., : finer.shape[2], : finer.shape[3]], moment)
        velocity: Tensor = self.output(nn.functional.silu(state)).flatten(1)
        return velocity


class _Residual(nn.Module):
    """x + f(x, time), where at first f is 0; the time stretches and moves what is within (Perez et al., FiLM, 2018)."""

    def __init__(self, layer: Callable[[int, int], nn.Module], width: int) -> None:
        super().__init__()
        self.first, self.second = layer(width, width), _zero(layer(width, width))
        self.stretch, self.shift = _zero(nn.Linear(2 * FREQUENCIES, width)), nn.Linear(2 * FREQUENCIES, width)

    def forward(
        self, state: Float[Tensor, "batch width *place"], moment: Moment
    ) -> Float[Tensor, "batch width *place"]:
        shape = (-1, state.shape[1], *[1] * (state.ndim - 2))
        stretch, shift = (1 + self.stretch(moment)).reshape(shape), self.shift(moment).reshape(shape)
        first = self.first(nn.functional.silu(state)) * stretch + shift
        moved: Tensor = state + self.second(nn.functional.silu(first))
        return moved


class _Layers(nn.ModuleList):
    """Residual layers, one after the other."""

    def __init__(self, layer: Callable[[int, int], nn.Module], layers: int, width: int) -> None:
        super().__init__(_Residual(layer, width) for _ in range(layers))

    def forward(
        self, state: Float[Tensor, "batch width *place"], moment: Moment
    ) -> Float[Tensor, "batch width *place"]:
        for layer in self:
            state = layer(state, moment)
        return state


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


def _zero(layer: Layer) -> Layer:
    """The layer, which answers 0 at first."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
