"""A graph of a bundle: its interface, how it is made, and what the model itself answers in its place."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from vae_pipeline.bundles.export.onnx import to_onnx
from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.bundles.export.proto import joined, unchanged
from vae_pipeline.models.samplers import ClassesSampler, StandardNormalSampler
from vae_pipeline.models.vae import VAE
from vae_pipeline.runtime.inputs import SEEDS
from vae_pipeline.runtime.signatures import GraphName, Signature

Tensors = Mapping[str, Tensor]


class Graph(ABC):
    """A graph's name, meaning and signature; a conditional model's takes `label` too."""

    name: GraphName
    about: str
    signature: Signature

    @abstractmethod
    def proto(
        self, frozen: VAE, inputs: Tensors, made: Mapping[str, onnx.ModelProto], metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """The graph of a frozen model, traced by some `inputs` or put together from those that were `made` before."""

    def other_inputs(self, model: VAE, x: Tensor, seed: int) -> Tensors:  # noqa: ARG002 (most graphs take one size)
        """Inputs in place of the usual ones: of another size where the graph takes any, or where it is asked others."""
        return {}

    @torch.inference_mode()
    def answers(self, model: VAE, inputs: Tensors, found: Arrays | None = None) -> dict[str, Tensor]:
        """The model's own outputs, through its distributions and not through what is traced.

        `found` is what a runtime answered: of tokens that are as likely, it may have taken another.
        """
        return self._answers(model, inputs, found)

    @abstractmethod
    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]: ...


class TracedGraph(Graph):
    """A graph that is traced from a module."""

    @abstractmethod
    def module(self, frozen: VAE) -> nn.Module:
        """The module, whose arguments and answers are those of the signature."""

    def proto(
        self,
        frozen: VAE,
        inputs: Tensors,
        made: Mapping[str, onnx.ModelProto],  # noqa: ARG002
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """The module's trace."""
        return to_onnx(self.module(frozen), inputs, self.signature.outputs, self.about, metadata, self.free(frozen))

    def free(self, frozen: VAE) -> Mapping[str, Mapping[int, Any]]:  # noqa: ARG002 (most graphs have none)
        """The axes of inputs, beside the batch, that may be of any length, as torch.export has them."""
        return {}


def after_sampler(
    frozen: VAE, inputs: Tensors, following: onnx.ModelProto, about: str, metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """The trace of the sampler, and after it a graph that takes its latents as z."""
    sampler = frozen.sampler
    assert sampler is not None  # a frozen model has one
    if isinstance(sampler, StandardNormalSampler):
        return joined(unchanged("noise", sampler.noise), following, {"noise": "z"}, about, metadata)
    given = ("noise", "label") if isinstance(sampler, ClassesSampler) else ("noise",)
    draw = to_onnx(sampler, {name: inputs[name] for name in given}, ("z",), about, {"vae.graph": "sampler"})
    return joined(draw, following, {"z": "z"}, about, metadata)


def example_inputs(graph: Graph, model: VAE, x: Tensor, labels: Tensor | None, seed: int) -> dict[str, Tensor]:
    """Real rows, and noise for what is drawn; `label` last where the model is conditional.

    A graph of maps gets them in another size, which is another for each number of rows.
    """
    width = model.noise if graph.name == GraphName.SAMPLE else model.latents
    noise = torch.randn(len(x), width, generator=torch.Generator().manual_seed(seed))
    index = torch.arange(len(x), dtype=torch.float32)
    values = {"x": x, "z": noise, "noise": noise, "seed": torch.full_like(index, seed % SEEDS), "index": index}
    if graph.name == GraphName.STEP:
        values |= {"token": x[:, 0].contiguous(), "state": model.decoder(noise).detach()}
    values |= graph.other_inputs(model, x, seed)
    inputs = {name: values[name] for name in graph.signature.inputs}
    if model.classes and graph.signature.labelled:
        assert labels is not None  # a conditional model was built from data with labels
        inputs["label"] = labels
    return inputs
