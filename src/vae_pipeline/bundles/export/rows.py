"""The graphs that draw a table's rows, each with its noise, its classes and its gaps.

draw           z, uniform     -> x_drawn, present      one row of p(x|z)
sample_rows    noise, uniform -> x_drawn, present      the same at a draw of the sampler
generate_rows  seed, index    -> x_drawn, present      the same, with all noise made inside (`export.noise`)

`present` is 0 where a value is missing, whose number in `x_drawn` then means nothing. Rows of which rounding alone
could have made others aren't asked in any comparison of runtimes: example inputs leave them out.
"""

from collections.abc import Mapping

import onnx
import torch
from torch import Tensor, nn

from vae_pipeline.bundles.export.graph import Graph, Tensors, TracedGraph, after_sampler
from vae_pipeline.bundles.export.noise import even_noise, noise_graph, normal_noise
from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.bundles.export.proto import OPSET, joined
from vae_pipeline.models.table import TableVAE
from vae_pipeline.models.vae import VAE
from vae_pipeline.runtime.signatures import ROWS, GraphName

TRIES = 64
"""Draws among which rows are looked for that no rounding decides."""


class _Draw(nn.Module):
    def __init__(self, model: TableVAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, uniform: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        drawn = self.model.draw_rows(z, uniform, label)
        return drawn.values, drawn.present


class DrawGraph(TracedGraph):
    """A draw of p(x|z)."""

    name = GraphName.DRAW
    about = "a row of p(x|z), in the data's units, by numbers that are even in (0, 1)"
    signature = ROWS[name]

    def other_inputs(self, model: VAE, x: Tensor, seed: int) -> Tensors:
        """Even numbers, and latents of the prior."""
        noise = torch.randn(len(x), model.latents, generator=torch.Generator().manual_seed(seed))
        return {"z": noise, "uniform": _sure(model, noise, x, seed)}

    def module(self, frozen: VAE) -> nn.Module:
        """The decoder and the draw after it."""
        return _Draw(_table(frozen))

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        return _drawn(model, inputs["z"], inputs["uniform"], inputs)


class SampleRowsGraph(Graph):
    """A draw of p(x|z) at a draw of the sampler."""

    name = GraphName.SAMPLE_ROWS
    about = "a new row, in the data's units"
    signature = ROWS[name]

    def other_inputs(self, model: VAE, x: Tensor, seed: int) -> Tensors:
        """Noise, and even numbers."""
        noise = torch.randn(len(x), model.noise, generator=torch.Generator().manual_seed(seed))
        return {"noise": noise, "uniform": _sure(model, model.draw(noise).detach(), x, seed)}

    def proto(
        self, frozen: VAE, inputs: Tensors, made: Mapping[str, onnx.ModelProto], metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """The trace of the sampler, and `draw` after it."""
        return after_sampler(frozen, inputs, made[GraphName.DRAW], self.about, metadata)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        return _drawn(model, model.draw(inputs["noise"]), inputs["uniform"], inputs)


class GenerateRowsGraph(Graph):
    """`sample_rows`, whose noise is made inside."""

    name = GraphName.GENERATE_ROWS
    about = "the new row that a seed and an index name"
    signature = ROWS[name]

    def other_inputs(self, model: VAE, x: Tensor, seed: int) -> Tensors:
        """Indices of rows that no rounding decides."""
        index = torch.arange(TRIES * len(x), dtype=torch.float32)
        seeds = torch.full_like(index, seed % 2**24)
        with torch.inference_mode():
            noise, uniform = _noise(model, seeds, index)
            sure = index[~_table(model).draw_rows(model.draw(noise), uniform).doubtful]
        return {"index": sure[: len(x)], "seed": seeds[: len(x)]}

    def proto(
        self,
        frozen: VAE,
        inputs: Tensors,  # noqa: ARG002
        made: Mapping[str, onnx.ModelProto],
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """The graph of the noise, and `sample_rows` after it."""
        noise, rows = noise_graph(frozen.noise, OPSET, _table(frozen).rows.uniform), made[GraphName.SAMPLE_ROWS]
        return joined(noise, rows, {"noise": "noise", "uniform": "uniform"}, self.about, metadata)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        noise, uniform = _noise(model, inputs["seed"], inputs["index"])
        return _drawn(model, model.draw(noise), uniform, inputs)


DRAWING: tuple[Graph, ...] = (DrawGraph(), SampleRowsGraph(), GenerateRowsGraph())
"""The graphs of a table beside the usual ones; those that are put together come after their parts."""


def _table(model: VAE) -> TableVAE:
    assert isinstance(model, TableVAE)  # the graphs of no other model are asked for
    return model


def _noise(model: VAE, seed: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    width = model.noise
    return normal_noise(seed, index, width), even_noise(seed, index, width, _table(model).rows.uniform)


def _drawn(model: VAE, z: Tensor, uniform: Tensor, inputs: Tensors) -> dict[str, Tensor]:
    drawn = _table(model).draw_rows(z, uniform, inputs.get("label"))
    return {"x_drawn": drawn.values, "present": drawn.present}


def _sure(model: VAE, z: Tensor, x: Tensor, seed: int) -> Tensor:
    """Even numbers by which no rounding decides what is drawn at z; those of a row are drawn again until it is so."""
    table, generator = _table(model), torch.Generator().manual_seed(seed)
    uniform = torch.rand(len(x), table.rows.uniform, generator=generator).clamp(2.0**-24, 1 - 2.0**-24)
    for _ in range(TRIES):
        with torch.inference_mode():
            doubtful = table.draw_rows(z, uniform).doubtful
        if not doubtful.any():
            break
        again = torch.rand(uniform.shape, generator=generator).clamp(2.0**-24, 1 - 2.0**-24)
        uniform = torch.where(doubtful[:, None], again, uniform)
    return uniform
