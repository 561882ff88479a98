"""Recurrent nets over sequences of tokens: one layer of LSTM or GRU cells.

Training runs torch's own kernels over all steps at once. In an exported graph, which has to be read by runtimes that
know neither cell, the same weights go through a cell written out, step by step; tests hold the two equal.

Sequences are rows of ids that end in padding, which changes nothing: kernels run up to the longest of a batch, and a
written-out cell keeps its state at padding.

Source: Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; Cho et al., Learning Phrase Representations using RNN
Encoder-Decoder, 2014; Gal and Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks,
2016, for one mask a sequence.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vae_pipeline.kinds.text.spec import PADDING
from vae_pipeline.numerics.randomness import uniform
from vae_pipeline.recipe.model import Cell

OPERATOR = "vae_pipeline::Recurrence"
"""The node of a traced graph that stands for all steps of a layer."""


def eager() -> bool:
    """True if shapes may depend on values: not while a graph is traced, compiled or captured."""
    captured = torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
    return not (torch.compiler.is_compiling() or torch.compiler.is_exporting() or captured)


def trimmed(tokens: Int[Tensor, "rows time"]) -> Int[Tensor, "rows longest"]:
    """Cut off the columns in which every row has padding, where shapes may depend on values."""
    if not eager():
        return tokens
    longest = int((tokens != PADDING).any(0).sum())
    return tokens[:, : max(1, longest)]


class Recurrence(nn.Module):
    """A layer of cells. A state is [rows, size]: of a GRU its output, of an LSTM output and memory side by side."""

    def __init__(self, cell: Cell, inputs: int, width: int) -> None:
        super().__init__()
        self.width, self.lstm = width, cell == "lstm"
        self.kernel = (nn.LSTM if self.lstm else nn.GRU)(inputs, width, batch_first=True)
        self.size = 2 * width if self.lstm else width

    def forward(
        self, inputs: Float[Tensor, "rows time inputs"], state: Float[Tensor, "rows size"]
    ) -> Float[Tensor, "rows time width"]:
        """The outputs at every step."""
        parts = tuple(part.unsqueeze(0).contiguous() for part in state.split(self.width, -1))
        outputs: Tensor = self.kernel(inputs, parts if self.lstm else parts[0])[0]
        return outputs

    def written_out(
        self,
        projected: Float[Tensor, "rows time gates"],
        state: Float[Tensor, "rows size"],
        present: Float[Tensor, "rows time"] | None,
        backward: bool = False,
    ) -> Float[Tensor, "rows time width"]:
        """Run all steps as one node of a graph that is traced: `export.recurrence` puts the steps in its place.

        Where `present` is 0 a state stays. `backward` begins with the last step.
        """
        rows, time = projected.shape[:2]
        given: list[Any] = [projected, state, self.kernel.weight_hh_l0, self.kernel.bias_hh_l0]
        outputs: Tensor = torch.onnx.ops.symbolic(
            OPERATOR,
            given if present is None else [*given, present],
            {"time": time, "width": self.width, "lstm": int(self.lstm), "backward": int(backward)},
            dtype=projected.dtype,
            shape=(rows, time, self.width),
            version=1,
        )
        return outputs

    def project(self, inputs: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows gates"]:
        """The sum that the inputs, or as many of them as are given, add to the gates."""
        kernel: Any = self.kernel
        return F.linear(inputs, kernel.weight_ih_l0[:, : inputs.shape[-1]], kernel.bias_ih_l0)

    def project_last(self, inputs: Float[Tensor, "*rows inputs"]) -> Float[Tensor, "*rows gates"]:
        """The sum that the last inputs add to it."""
        kernel: Any = self.kernel
        return F.linear(inputs, kernel.weight_ih_l0[:, -inputs.shape[-1] :])

    def step(
        self, inputs: Float[Tensor, "rows inputs"], state: Float[Tensor, "rows size"]
    ) -> Float[Tensor, "rows size"]:
        """The state after one more step, written out, with the gates in torch's order."""
        width, projected = self.width, self.project(inputs)
        output = state[:, :width]
        recurrent = F.linear(output, self.kernel.weight_hh_l0, self.kernel.bias_hh_l0)  # type: ignore[arg-type]
        if self.lstm:
            enter, forget, new, leave = (projected + recurrent).split(width, -1)
            memory = forget.sigmoid() * state[:, width:] + enter.sigmoid() * new.tanh()
            return torch.cat([leave.sigmoid() * memory.tanh(), memory], -1)
        reset, keep, new = projected.split(width, -1)
        reset_by, keep_by, new_by = recurrent.split(width, -1)
        new = (new + (reset + reset_by).sigmoid() * new_by).tanh()
        after: Tensor = new + (keep + keep_by).sigmoid() * (output - new)
        return after


class RecurrentEncoder(nn.Module):
    """Tokens to features: the output at the last token and, if bidirectional, that of a layer which goes backwards."""

    def __init__(self, vocabulary: int, cell: Cell, embedding: int, width: int, bidirectional: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.layers = nn.ModuleList(Recurrence(cell, embedding, width) for _ in range(1 + bidirectional))
        self.features = width * len(self.layers)
        nn.init.normal_(self.embedding.weight, std=0.1)

    def forward(
        self, x: Float[Tensor, "batch limit"], label: Float[Tensor, "batch classes"] | None
    ) -> Float[Tensor, "batch features"]:
        """Features; there is no label."""
        assert label is None  # the recipe says so
        tokens = trimmed(x.long())
        embedded, present = self.embedding(tokens), tokens != PADDING
        return torch.cat([self._last(*each, embedded, present) for each in enumerate(self.layers)], -1)

    def _last(self, backward: int, layer: nn.Module, embedded: Tensor, present: Tensor) -> Tensor:
        assert isinstance(layer, Recurrence)
        state = embedded.new_zeros(embedded.shape[0], layer.size)
        if torch.compiler.is_exporting():
            projected = layer.project(embedded)
            states = layer.written_out(projected, state, present.to(embedded.dtype), bool(backward))
            return states[:, 0 if backward else -1]
        last = present.sum(1, keepdim=True) - 1
        if backward:  # each row's tokens turned round, and its padding left behind them
            place = (last - torch.arange(embedded.shape[1], device=last.device)).clamp_min(0)
            embedded = embedded.gather(1, place.unsqueeze(-1).expand_as(embedded))
        outputs: Tensor = layer(embedded, state)
        return outputs.gather(1, last.unsqueeze(-1).expand(-1, -1, layer.width)).squeeze(1)


class BlindEncoder(nn.Module):
    """Sees nothing: the same features for every observation."""

    features = 1

    def forward(self, x: Float[Tensor, "batch *event"], label: Tensor | None) -> Float[Tensor, "batch 1"]:  # noqa: ARG002
        """Zeros."""
        return torch.zeros_like(x.flatten(1)[:, :1])


class LatentStart(nn.Module):
    """z to the state that a decoder starts from: the layer's state, and z itself, which joins every input."""

    def __init__(self, latents: int, size: int) -> None:
        super().__init__()
        self.start = nn.Linear(latents, size)

    def forward(self, z: Float[Tensor, "batch latents"]) -> Float[Tensor, "batch carried"]:
        """[state, z]."""
        return torch.cat([self.start(z).tanh(), z], -1)


class BlindStart(nn.Module):
    """A start with one state whatever z is, which leaves a language model."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, z: Float[Tensor, "batch latents"]) -> Float[Tensor, "batch carried"]:
        """Zeros."""
        return torch.zeros_like(z[:, :1]).expand(-1, self.size).contiguous()


class RecurrentDecoder(nn.Module):
    """Tokens so far, and the state that they start from, to what the next token follows from.

    A state carries what joins every input (z) behind the layer's own state.
    """

    def __init__(self, vocabulary: int, cell: Cell, embedding: int, width: int, latents: int, dropout: float) -> None:
        """`latents` are those that join every input; none of a language model."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.layer = Recurrence(cell, embedding + latents, width)
        self.width, self.dropout = width, dropout
        nn.init.normal_(self.embedding.weight, std=0.1)

    def forward(
        self, tokens: Int[Tensor, "rows time"], state: Float[Tensor, "rows carried"], samples: int = 1
    ) -> Float[Tensor, "rows time width"]:
        """Features of the token after each one; the rows are those of `samples` batches."""
        own, joined = state[:, : self.layer.size], state[:, self.layer.size :]
        embedded = self._dropped(self.embedding(tokens), samples)
        if torch.compiler.is_exporting():  # tract can't take in what is repeated at every step
            projected = self.layer.project(embedded)
            if joined.shape[1]:
                projected = projected + self.layer.project_last(joined).unsqueeze(1)
            return self.layer.written_out(projected, own, None)
        inputs = torch.cat([embedded, joined.unsqueeze(1).expand(-1, tokens.shape[1], -1)], -1)
        return self._dropped(self.layer(inputs, own), samples)

    def step(
        self, token: Int[Tensor, " rows"], state: Float[Tensor, "rows carried"]
    ) -> tuple[Float[Tensor, "rows width"], Float[Tensor, "rows carried"]]:
        """Features of the token after one more, and the state then."""
        own, joined = state[:, : self.layer.size], state[:, self.layer.size :]
        inputs = torch.cat([self.embedding(token), joined], -1)
        after = self.layer.step(inputs, own)
        return after[:, : self.width], torch.cat([after, joined], -1)

    def _dropped(self, values: Tensor, samples: int) -> Tensor:
        if not self.training or not self.dropout:
            return values
        kept = uniform([samples], values[: len(values) // samples, 0]).flatten(0, 1) >= self.dropout
        return values * (kept / (1 - self.dropout)).unsqueeze(1)
