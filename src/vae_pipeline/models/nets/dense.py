"""Fully connected networks."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.nets.activation import activation, outputs
from vae_pipeline.recipe.section import Activation


class DenseEncoder(nn.Module):
    """An observation of any shape, and a label if there is one, to features.

    With a shortcut, the observation itself is among the features, after what the layers give.
    """

    def __init__(
        self,
        shape: Sequence[int],
        labels: int,
        layers: Sequence[int],
        function: Activation,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        self.layers = _stack([math.prod(shape) + labels, *layers], function)
        self.shortcut = shortcut
        self.features = layers[-1] + (math.prod(shape) if shortcut else 0)

    def forward(
        self, x: Float[Tensor, "batch *event"], label: Float[Tensor, "batch classes"] | None
    ) -> Float[Tensor, "batch features"]:
        """Features; `label` is one-hot."""
        flat = x.flatten(1)
        features: Tensor = self.layers(flat if label is None else torch.cat([flat, label], 1))
        return torch.cat([features, flat], 1) if self.shortcut else features


class DenseDecoder(nn.Module):
    """Features to `planes` numbers for each value of an observation.

    With a shortcut, a linear function of the features is added to what the layers give.
    """

    def __init__(
        self,
        features: int,
        shape: Sequence[int],
        planes: int,
        layers: Sequence[int],
        function: Activation,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        self.shape = (planes, *shape)
        self.layers = _stack([features, *layers], function)
        self.output = _linear(layers[-1], math.prod(self.shape))
        self.shortcut = nn.Linear(features, math.prod(self.shape), bias=False) if shortcut else None

    def forward(self, z: Float[Tensor, "batch features"]) -> Float[Tensor, "batch planes *event"]:
        """The parameters of the likelihood, not yet constrained."""
        flat = self.output(self.layers(z))
        output: Tensor = (flat if self.shortcut is None else flat + self.shortcut(z)).unflatten(1, self.shape)
        return output


def _stack(widths: Sequence[int], function: Activation) -> nn.Sequential:
    wider = outputs(function)
    layers = [[_linear(before, wider * after), activation(function)] for before, after in pairwise(widths)]
    return nn.Sequential(*[module for pair in layers for module in pair])


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that starts as Glorot and Bengio (2010) say, its bias at zero."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
