"""The graphs of a bundle: what each takes and gives, as modules that a tracer can follow.

Inputs are raw (`x` as it lies on disk, scaling inside); noise is an input, so that every runtime draws its
own or repeats another's; a conditional model takes `label` as well.

    encoder      x            -> mean, log_variance
    decoder      z            -> x_mean            the likelihood's mean, in the data's units
    reconstruct  x            -> x_mean            decoded from the posterior's mean
    score        x, noise     -> negative_elbo, distortion, rate        nats, z drawn by the noise
    sample       noise        -> x_mean            decoded from a draw of the fitted sampler, or of the prior
    generate     seed, index  -> x_mean            the same, with noise that is made inside (`export.noise`)
    detect       x            -> score, p_value, distortion, rate, contributions       calibrated; z by constant draws

A likelihood that goes token by token has no mean to decode at once. Of its model there are `encoder`, `score`, and

    initial      z            -> state             what a sentence is written from
    sample       noise        -> state             the same, at a draw of the fitted sampler, or of the prior
    step         token, state -> log_probability, next_state     of each id from 2, the end, on; after one more token
    greedy       z            -> tokens            the whole sentence, always by the likeliest token (`export.greedy`)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vae_pipeline.bundles.export.noise import normal_noise
from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.models.detector import Detector, DetectorOutputs
from vae_pipeline.models.gaussian import DiagonalGaussian
from vae_pipeline.models.likelihoods.autoregressive import Autoregressive, AutoregressiveLikelihood
from vae_pipeline.models.vae import VAE
from vae_pipeline.runtime.inputs import SEEDS

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Graph:
    """A graph's interface: names of inputs (without `label`) and outputs, and the module that answers."""

    name: str
    about: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    module: Callable[[VAE], nn.Module] | None
    """None for the detector, which is a module already, and for a graph that is put together from others."""


class _Encoder(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        posterior = self.model.encode(x, label)
        if isinstance(posterior, DiagonalGaussian):
            return posterior.mean, posterior.log_variance
        return posterior.mean, posterior.variance.log()


class _Decoder(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.model.scaling.inverse(self.model.decode(z, label).mean)


class _Reconstruct(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.encoder, self.decoder = _Encoder(model), _Decoder(model)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        mean, _ = self.encoder(x, label)
        x_mean: Tensor = self.decoder(mean, label)
        return x_mean


class _Sample(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model, self.decoder = model, _Decoder(model)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        x_mean: Tensor = self.decoder(self.model.draw(noise), label)
        return x_mean


class _Score(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, noise: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        inference = self.model.infer_by(x, noise, label)
        distortion, rate = inference.distortion()[0], inference.rate()[0]
        return distortion + rate, distortion, rate


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
        self.likelihood = model.likelihood

    def forward(self, token: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        assert isinstance(self.likelihood, AutoregressiveLikelihood)
        return self.likelihood.step(token.long(), state)


ENCODER = Graph("encoder", "q(z|x): its mean and log-variance", ("x",), ("mean", "log_variance"), _Encoder)
SCORE = Graph(
    "score",
    "-ELBO, distortion and rate of each example, in nats",
    ("x", "noise"),
    ("negative_elbo", "distortion", "rate"),
    _Score,
)
GENERATE = Graph("generate", "E[x|z] at the draw that a seed and an index name", ("seed", "index"), ("x_mean",), None)
"""`sample`, its noise made by `noise.noise_graph`."""
GREEDY = Graph(
    "greedy", "the sentence in which each token is the likeliest after those before it", ("z",), ("tokens",), None
)
"""`initial` and `step`, put together by `greedy.greedy_graph`."""
GRAPHS = (
    ENCODER,
    Graph("decoder", "E[x|z], in the data's units", ("z",), ("x_mean",), _Decoder),
    Graph("reconstruct", "E[x|z] at the posterior's mean", ("x",), ("x_mean",), _Reconstruct),
    SCORE,
    Graph("sample", "E[x|z] at a draw of the sampler", ("noise",), ("x_mean",), _Sample),
    GENERATE,
)

STEPWISE = (
    ENCODER,
    SCORE,
    Graph("initial", "the state that a sentence is written from, of z", ("z",), ("state",), _Initial),
    Graph("sample", "the same at a draw of the sampler", ("noise",), ("state",), _Started),
    Graph(
        "step",
        "log p of each id from 2 on, the end, to come next after a token, and the state then",
        ("token", "state"),
        ("log_probability", "next_state"),
        _Step,
    ),
    GREEDY,
)
"""Of a model that writes token by token."""

DETECT = Graph(
    "detect",
    "how anomalous each example is: its score, a p-value among examples held back, and each value's part",
    ("x",),
    DetectorOutputs._fields,
    None,
)
"""Of models whose data had a validation part to calibrate it on."""


def graphs_of(model: VAE, detector: Detector | None) -> tuple[Graph, ...]:
    """Those that a bundle has."""
    if isinstance(model.likelihood, AutoregressiveLikelihood):
        return STEPWISE
    return GRAPHS if detector is None else (*GRAPHS, DETECT)


def example_inputs(graph: Graph, model: VAE, images: Tensor, labels: Tensor | None, seed: int) -> dict[str, Tensor]:
    """Real images, and noise for what is drawn; `label` last where the model is conditional."""
    width = model.noise if graph.name == "sample" else model.latents
    noise = torch.randn(len(images), width, generator=torch.Generator().manual_seed(seed))
    index = torch.arange(len(images), dtype=torch.float32)
    values = {"x": images, "z": noise, "noise": noise, "seed": torch.full_like(index, seed % SEEDS), "index": index}
    if "state" in graph.inputs:
        values |= {"token": images[:, 0].contiguous(), "state": model.decoder(noise).detach()}
    inputs = {name: values[name] for name in graph.inputs}
    if model.classes:
        assert labels is not None  # a conditional model was built from data with labels
        inputs["label"] = labels
    return inputs


@torch.inference_mode()
def answers(
    graph: Graph, model: VAE, detector: Detector | None, inputs: Tensors, given: Arrays | None = None
) -> dict[str, Tensor]:
    """What the model itself answers, through its distributions and not through the graph's module.

    `given` is what a runtime answered: of tokens that are as likely, it may have taken another.
    """
    label = inputs.get("label")
    if graph is DETECT:
        assert detector is not None
        found: DetectorOutputs = detector(inputs["x"], label)
        return found._asdict()
    if graph.name == "step":
        assert isinstance(model.likelihood, AutoregressiveLikelihood)
        log_probability, state = model.likelihood.step(inputs["token"].long(), inputs["state"])
        return {"log_probability": log_probability, "next_state": state}
    if "state" in graph.outputs:
        return {"state": model.decoder(inputs["z"] if "z" in inputs else model.draw(inputs["noise"]))}
    if graph is GREEDY:
        sentence = model.decode(inputs["z"])
        assert isinstance(sentence, Autoregressive)
        tokens = sentence.mean if given is None else sentence.mean_beside(torch.from_numpy(given["tokens"]))
        return {"tokens": tokens.int()}
    if graph.name in ("decoder", "sample", "generate"):
        if graph.name == "decoder":
            z = inputs["z"]
        elif graph.name == "sample":
            z = model.draw(inputs["noise"])
        else:
            z = model.draw(normal_noise(inputs["seed"], inputs["index"], model.noise))
        return {"x_mean": model.scaling.inverse(model.decode(z, label).mean)}
    x = inputs["x"]
    posterior = model.encode(x, label)
    if graph.name == "encoder":
        return {"mean": posterior.mean, "log_variance": posterior.variance.log()}
    if graph.name == "reconstruct":
        return {"x_mean": model.scaling.inverse(model.decode(posterior.mean, label).mean)}
    inference = model.explain(model.scaling(x), posterior.draw(inputs["noise"][None]), label)
    distortion, rate = inference.distortion()[0], inference.rate()[0]
    return {"negative_elbo": distortion + rate, "distortion": distortion, "rate": rate}
