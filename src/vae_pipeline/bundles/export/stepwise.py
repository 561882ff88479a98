"""The graphs of a likelihood that goes token by token, beside `encoder` and `score`.

initial      z            -> state             what a sentence is written from
sample       noise        -> state             the same, at a draw of the fitted sampler, or of the prior
step         token, state -> log_probability, next_state     of each id from 2, the end, on; after one more token
greedy       z            -> tokens            the whole sentence, always by the likeliest token (`export.greedy`)
"""

from collections.abc import Mapping

import onnx
import torch
from torch import Tensor, nn

from vae_pipeline.bundles.export.graph import Graph, Tensors, TracedGraph
from vae_pipeline.bundles.export.greedy import greedy_graph
from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.models.likelihoods.autoregressive import Autoregressive, AutoregressiveLikelihood
from vae_pipeline.models.vae import VAE
from vae_pipeline.runtime.signatures import STEPWISE, GraphName


class _Initial(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> Tensor:
        state: Tensor = self.model.decoder(z)
        return state


class _Started(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, noise: Tensor) -> Tensor:
        state: Tensor = self.model.decoder(self.model.draw(noise))
        return state


class _Step(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.likelihood = _likelihood(model)

    def forward(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.likelihood.step(token.long(), state)


class InitialGraph(TracedGraph):
    """The state that a sentence is written from."""

    name = GraphName.INITIAL
    about = "the state that a sentence is written from, of z"
    signature = STEPWISE[name]

    def module(self, frozen: VAE) -> nn.Module:
        """The decoder."""
        return _Initial(frozen)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        return {"state": model.decoder(inputs["z"])}


class StartedGraph(TracedGraph):
    """The state that a new sentence is written from."""

    name = GraphName.SAMPLE
    about = "the same at a draw of the sampler"
    signature = STEPWISE[name]

    def module(self, frozen: VAE) -> nn.Module:
        """The decoder after the sampler."""
        return _Started(frozen)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        return {"state": model.decoder(model.draw(inputs["noise"]))}


class StepGraph(TracedGraph):
    """The probabilities of the next token."""

    name = GraphName.STEP
    about = "log p of each id from 2 on, the end, to come next after a token, and the state then"
    signature = STEPWISE[name]

    def module(self, frozen: VAE) -> nn.Module:
        """One step of the recurrent net, and the output layer."""
        return _Step(frozen)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        log_probability, state = _likelihood(model).step(inputs["token"].long(), inputs["state"])
        return {"log_probability": log_probability, "next_state": state}


class GreedyGraph(Graph):
    """The whole sentence, put together from `initial` and `step`."""

    name = GraphName.GREEDY
    about = "the sentence in which each token is the likeliest after those before it"
    signature = STEPWISE[name]

    def proto(
        self,
        frozen: VAE,
        inputs: Tensors,  # noqa: ARG002
        made: Mapping[str, onnx.ModelProto],
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """The steps one after the other, up to the limit."""
        limit = _likelihood(frozen).limit
        return greedy_graph(made[GraphName.INITIAL], made[GraphName.STEP], limit, self.about, metadata)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:
        sentence = model.decode(inputs["z"])
        assert isinstance(sentence, Autoregressive)
        tokens = sentence.mean if found is None else sentence.mean_beside(torch.from_numpy(found["tokens"]))
        return {"tokens": tokens.int()}


def _likelihood(model: VAE) -> AutoregressiveLikelihood:
    assert isinstance(model.likelihood, AutoregressiveLikelihood)
    return model.likelihood


WRITING = (InitialGraph(), StartedGraph(), StepGraph(), GreedyGraph())
