"""Recurrent nets over the frames of a spectrogram: one layer of LSTM or GRU cells, as those of `nets.recurrent`."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.nets.recurrent import LatentStart, Recurrence
from vae_pipeline.recipe.model import Cell


class FrameEncoder(nn.Module):
    """Spectrograms, and a label if there is one, to features: the last state of a layer that goes either way."""

    def __init__(self, shape: Sequence[int], labels: int, cell: Cell, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Recurrence(cell, shape[0] * shape[1] + labels, width) for _ in range(2))
        self.features = 2 * width

    def forward(
        self, x: Float[Tensor, "batch channels bands frames"], label: Float[Tensor, "batch classes"] | None
    ) -> Float[Tensor, "batch features"]:
        """Features; a one-hot `label` joins every frame."""
        frames = x.flatten(1, 2).mT
        if label is not None:
            frames = torch.cat([frames, label.unsqueeze(1).expand(-1, frames.shape[1], -1)], -1)
        return torch.cat([self._last(layer, frames, bool(backward)) for backward, layer in enumerate(self.layers)], -1)

    def _last(self, layer: nn.Module, frames: Tensor, backward: bool) -> Tensor:
        assert isinstance(layer, Recurrence)
        state = frames.new_zeros(frames.shape[0], layer.size)
        if torch.compiler.is_exporting():
            return layer.written_out(layer.project(frames), state, None, backward)[:, 0 if backward else -1]
        outputs: Tensor = layer(frames.flip(1) if backward else frames, state)
        return outputs[:, -1]


class FrameDecoder(nn.Module):
    """Features to `planes` numbers for each value of a spectrogram.

    They are in the first state and in every input, each with what is learned of the frame's place.
    """

    def __init__(self, features: int, shape: Sequence[int], planes: int, cell: Cell, width: int) -> None:
        super().__init__()
        self.shape = (planes, *shape)
        self.layer = Recurrence(cell, features, width)
        self.start = LatentStart(features, self.layer.size)
        self.places = nn.Parameter(0.1 * torch.randn(shape[2], features))
        self.output = nn.Linear(width, planes * shape[0] * shape[1])

    def forward(self, z: Float[Tensor, "batch features"]) -> Float[Tensor, "batch planes channels bands frames"]:
        """The parameters of the likelihood, not yet constrained."""
        state, inputs = self.start(z)[:, : self.layer.size], z.unsqueeze(1) + self.places
        if torch.compiler.is_exporting():
            states = self.layer.written_out(self.layer.project(inputs), state, None)
        else:
            states = self.layer(inputs, state.contiguous())
        output: Tensor = self.output(states).mT.unflatten(1, self.shape[:3])
        return output
