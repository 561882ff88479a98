"""The graphs that draw images, each with the noise of its likelihood, where the recipe's `export.draws` asks for them.

draw           z, uniform     -> x_drawn      one image of p(x|z)
sample_drawn   noise, uniform -> x_drawn      the same at a draw of the sampler

Values that rounding alone could have made others aren't asked in any comparison of runtimes: example inputs draw them
again.
"""

from collections.abc import Callable, Mapping

import onnx
import torch
from torch import Tensor, nn

from vae_pipeline.bundles.export.graph import Graph, Tensors, TracedGraph, after_sampler
from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.models.likelihoods.image_draw import UNIFORM, DrawnImages, ImageDraw
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.vae import VAE
from vae_pipeline.runtime.signatures import DRAWS, GraphName

TRIES = 64
"""Draws of each value among which one is looked for that no rounding decides."""


class _Draw(nn.Module):
    def __init__(self, model: VAE, whole: bool) -> None:
        super().__init__()
        self.model, self.whole = model, whole

    def drawn(self, z: Tensor, uniform: Tensor, label: Tensor | None = None) -> DrawnImages:
        scaling = self.model.scaling
        assert isinstance(scaling, Scaling)  # the recipe's rules leave images alone
        return ImageDraw(scaling, self.whole).drawn(self.model.decode(z, label), uniform)

    def forward(self, z: Tensor, uniform: Tensor, label: Tensor | None = None) -> Tensor:
        return self.drawn(z, uniform, label).values


class DrawImageGraph(TracedGraph):
    """A draw of p(x|z)."""

    name = GraphName.DRAW
    about = "an image of p(x|z), in the data's units, by numbers that are even in (0, 1)"
    signature = DRAWS[name]

    def __init__(self, whole: bool) -> None:
        """`whole`: the data are whole numbers, and so are draws."""
        self.whole = whole

    def other_inputs(self, model: VAE, x: Tensor, seed: int) -> Tensors:
        """Even numbers, and latents of the prior."""
        z = torch.randn(len(x), model.latents, generator=torch.Generator().manual_seed(seed))
        return {"z": z, "uniform": _sure(_Draw(model, self.whole), lambda _: z, x, seed)}

    def module(self, frozen: VAE) -> nn.Module:
        """The decoder and the draw after it."""
        return _Draw(frozen, self.whole)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        return {"x_drawn": _Draw(model, self.whole)(inputs["z"], inputs["uniform"], inputs.get("label"))}


class SampleDrawnGraph(Graph):
    """A draw of p(x|z) at a draw of the sampler."""

    name = GraphName.SAMPLE_DRAWN
    about = "a new image, with its noise, in the data's units"
    signature = DRAWS[name]

    def __init__(self, whole: bool) -> None:
        """`whole`: the data are whole numbers, and so are draws."""
        self.whole = whole

    def other_inputs(self, model: VAE, x: Tensor, seed: int) -> Tensors:
        """Noise, and even numbers."""
        noise = torch.randn(len(x), model.noise, generator=torch.Generator().manual_seed(seed))
        draw = _Draw(model, self.whole)
        return {"noise": noise, "uniform": _sure(draw, lambda label: model.draw(noise, label), x, seed)}

    def proto(
        self, frozen: VAE, inputs: Tensors, made: Mapping[str, onnx.ModelProto], metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """The trace of the sampler, and `draw` after it."""
        return after_sampler(frozen, inputs, made[GraphName.DRAW], self.about, metadata)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        label = inputs.get("label")
        z = model.draw(inputs["noise"], label)
        return {"x_drawn": _Draw(model, self.whole)(z, inputs["uniform"], label)}


def _sure(draw: _Draw, z: Callable[[Tensor | None], Tensor], x: Tensor, seed: int) -> Tensor:
    """Even numbers by which no rounding decides what is drawn at z; those of a value are drawn again until it is so.

    `z` gives the latents of a label. Of a conditional model that is so of any label: what is doubtful for one is drawn
    again.
    """
    generator = torch.Generator().manual_seed(seed)

    def even() -> Tensor:
        numbers = torch.rand(len(x), UNIFORM * x[0].numel(), generator=generator)
        return numbers.clamp(2.0**-24, 1 - 2.0**-24)

    uniform, classes = even(), draw.model.classes
    labels = [torch.full((len(x),), label) for label in range(classes)] if classes else [None]
    for _ in range(TRIES):
        with torch.inference_mode():
            doubtful = torch.stack([draw.drawn(z(label), uniform, label).doubtful for label in labels]).any(0)
        if not doubtful.any():
            break
        uniform = torch.where(doubtful.flatten(1).repeat(1, UNIFORM), even(), uniform)
    return uniform
