"""The graphs of a bundle: what each takes and gives, as modules that a tracer can follow.

Inputs are raw (`x` as it lies on disk, scaling inside); noise is an input, so that every runtime draws its
own or repeats another's; a conditional model takes `label` as well.

    encoder      x            -> mean, log_variance
    decoder      z            -> x_mean            the likelihood's mean, in the data's units
    reconstruct  x            -> x_mean            decoded from the posterior's mean; sound with the phases of x
    score        x, noise     -> negative_elbo, distortion, rate        nats, z drawn by the noise
    sample       noise        -> x_mean            decoded from a draw of the fitted sampler, or of the prior
    generate     seed, index  -> x_mean            the same, with noise that is made inside (`export.noise`)
    detect       x            -> score, p_value, distortion, rate, contributions       calibrated; z by constant draws
    base         z            -> noise, z_again    the noise that the sampler makes z of, and what it makes of that
    denoise_stream   chunk, state -> clean, low, high, next_state       of sound: the next samples (`export.stream`)
    denoise      x            -> x_clean, x_low, x_high     of a model that was trained to; z by constant draws

A model whose latents are a map has those of `export.maps` too, for images of any size; one of a table's rows those of
`export.rows`, which draw rows where `sample` and `generate` give means; and one of images those of `export.draws`,
where the recipe asks for them.
The graphs of a model that writes token by token are `encoder`, `score` and those of `export.stepwise`; one that sees
features of images, of which none can be made, has `encoder`, `score` and `detect`.
"""

from collections.abc import Mapping
from typing import Literal

import onnx
import torch
from torch import Tensor, nn

from vae_pipeline.bundles.export.denoising import DenoiseGraph
from vae_pipeline.bundles.export.draws import DrawImageGraph, SampleDrawnGraph
from vae_pipeline.bundles.export.graph import Graph, Tensors, TracedGraph, after_sampler
from vae_pipeline.bundles.export.maps import WHOLE_IMAGES, MapDenoiseGraph
from vae_pipeline.bundles.export.noise import noise_graph, normal_noise
from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.bundles.export.proto import OPSET, joined
from vae_pipeline.bundles.export.rows import DRAWING
from vae_pipeline.bundles.export.stepwise import WRITING
from vae_pipeline.bundles.export.stream import DenoiseStreamGraph
from vae_pipeline.metrics.latents import diagonal
from vae_pipeline.models.denoiser import Denoiser
from vae_pipeline.models.detector import Detector, DetectorOutputs
from vae_pipeline.models.features.scaling import FeatureScaling
from vae_pipeline.models.likelihoods.autoregressive import AutoregressiveLikelihood
from vae_pipeline.models.samplers import Invertible
from vae_pipeline.models.scaling import resounded
from vae_pipeline.models.sound.denoiser import SoundDenoiser
from vae_pipeline.models.sound.view import SpectrogramScaling
from vae_pipeline.models.spatial import SpatialVAE
from vae_pipeline.models.table import TableVAE
from vae_pipeline.models.vae import VAE
from vae_pipeline.runtime.signatures import BACK, SIGNATURES, GraphName


class _Encoder(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        q = diagonal(self.model.encode(x, label))
        return q.mean, q.log_variance


class _Decoder(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, label: Tensor | None = None, x: Tensor | None = None) -> Tensor:
        """`x` is what z stands for, where that is known."""
        scaling, values = self.model.scaling, self.model.decode(z, label).mean
        return scaling.inverse(values) if x is None else resounded(scaling, values, x)


class _Reconstruct(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.encoder, self.decoder = _Encoder(model), _Decoder(model)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        mean, _ = self.encoder(x, label)
        x_mean: Tensor = self.decoder(mean, label, x)
        return x_mean


class _Base(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        assert isinstance(model.sampler, Invertible)
        self.sampler = model.sampler

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        noise = self.sampler.inverse(z)
        return noise, self.sampler(noise)


class _Score(nn.Module):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, noise: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        inference = self.model.infer_by(x, noise, label)
        distortion, rate = inference.distortion()[0], inference.rate()[0]
        return distortion + rate, distortion, rate


class EncoderGraph(TracedGraph):
    """The posterior."""

    name = GraphName.ENCODER
    about = "q(z|x): its mean and log-variance"
    signature = SIGNATURES[name]

    def module(self, frozen: VAE) -> nn.Module:
        """The encoder after the scaling."""
        return _Encoder(frozen)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        posterior = model.encode(inputs["x"], inputs.get("label"))
        return {"mean": posterior.mean, "log_variance": diagonal(posterior).log_variance}


class DecoderGraph(TracedGraph):
    """The likelihood's mean."""

    name = GraphName.DECODER
    about = "E[x|z], in the data's units"
    signature = SIGNATURES[name]

    def module(self, frozen: VAE) -> nn.Module:
        """The decoder before the inverse of the scaling."""
        return _Decoder(frozen)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        return {"x_mean": _decoded(model, inputs["z"], inputs)}


class ReconstructGraph(TracedGraph):
    """The decoder at the posterior's mean."""

    name = GraphName.RECONSTRUCT
    about = "E[x|z] at the posterior's mean"
    signature = SIGNATURES[name]

    def module(self, frozen: VAE) -> nn.Module:
        """The encoder and the decoder."""
        return _Reconstruct(frozen)

    def proto(
        self, frozen: VAE, inputs: Tensors, made: Mapping[str, onnx.ModelProto], metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """`decoder` after `encoder`; of sound, whose decoder needs the phases of x, the trace."""
        if isinstance(frozen.scaling, SpectrogramScaling):
            return super().proto(frozen, inputs, made, metadata)
        return joined(made[GraphName.ENCODER], made[GraphName.DECODER], {"mean": "z"}, self.about, metadata)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        x, label = inputs["x"], inputs.get("label")
        mean = model.decode(model.encode(x, label).mean, label).mean
        return {"x_mean": resounded(model.scaling, mean, x)}


class ScoreGraph(TracedGraph):
    """The terms of the ELBO at one draw of z."""

    name = GraphName.SCORE
    about = "-ELBO, distortion and rate of each example, in nats"
    signature = SIGNATURES[name]

    def module(self, frozen: VAE) -> nn.Module:
        """The whole pass, by noise that is given."""
        return _Score(frozen)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        x, label = inputs["x"], inputs.get("label")
        draw = model.encode(x, label).draw(inputs["noise"][None])
        inference = model.explain(model.scaling(x), draw, label)
        distortion, rate = inference.distortion()[0], inference.rate()[0]
        return {"negative_elbo": distortion + rate, "distortion": distortion, "rate": rate}


class SampleGraph(Graph):
    """The decoder at a draw of the sampler."""

    name = GraphName.SAMPLE
    about = "E[x|z] at a draw of the sampler"
    signature = SIGNATURES[name]

    def proto(
        self, frozen: VAE, inputs: Tensors, made: Mapping[str, onnx.ModelProto], metadata: Mapping[str, str]
    ) -> onnx.ModelProto:
        """The trace of the sampler, and `decoder` after it."""
        return after_sampler(frozen, inputs, made[GraphName.DECODER], self.about, metadata)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        return {"x_mean": _decoded(model, model.draw(inputs["noise"], inputs.get("label")), inputs)}


class GenerateGraph(Graph):
    """`sample`, whose noise is made inside, by `export.noise`."""

    name = GraphName.GENERATE
    about = "E[x|z] at the draw that a seed and an index name"
    signature = SIGNATURES[name]

    def proto(
        self,
        frozen: VAE,
        inputs: Tensors,  # noqa: ARG002
        made: Mapping[str, onnx.ModelProto],
        metadata: Mapping[str, str],
    ) -> onnx.ModelProto:
        """The graph of the noise, and `sample` after it."""
        noise, sample = noise_graph(frozen.noise, OPSET), made[GraphName.SAMPLE]
        return joined(noise, sample, {"noise": "noise"}, self.about, metadata)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        noise = normal_noise(inputs["seed"], inputs["index"], model.noise)
        return {"x_mean": _decoded(model, model.draw(noise, inputs.get("label")), inputs)}


class DetectGraph(TracedGraph):
    """The calibrated detector, where the data had a validation part to calibrate it on."""

    name = GraphName.DETECT
    about = "how anomalous each example is: its score, a p-value among examples held back, and each value's part"
    signature = SIGNATURES[name]

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    def module(self, frozen: VAE) -> nn.Module:  # noqa: ARG002
        """The detector, which has a model of its own."""
        return self.detector.frozen().eval()

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        answer: DetectorOutputs = self.detector(inputs["x"], inputs.get("label"))
        return answer._asdict()


class BaseGraph(TracedGraph):
    """The inverse of the sampler, where it has one."""

    name = GraphName.BASE
    about = "the noise of which the sampler makes z, and the z that it makes of this noise"
    signature = BACK[name]

    def other_inputs(self, model: VAE, x: Tensor, seed: int) -> Tensors:
        """Draws of the sampler: far from what it was fitted to, its inverse may amplify any rounding."""
        noise = torch.randn(len(x), model.noise, generator=torch.Generator().manual_seed(seed))
        return {"z": model.draw(noise).detach()}

    def module(self, frozen: VAE) -> nn.Module:
        """The sampler, back and forth."""
        return _Base(frozen)

    def _answers(self, model: VAE, inputs: Tensors, found: Arrays | None) -> dict[str, Tensor]:  # noqa: ARG002
        noise, again = _Base(model)(inputs["z"])
        return {"noise": noise, "z_again": again}


def _decoded(model: VAE, z: Tensor, inputs: Tensors) -> Tensor:
    return model.scaling.inverse(model.decode(z, inputs.get("label")).mean)


ENCODER, SCORE = EncoderGraph(), ScoreGraph()
GRAPHS: tuple[Graph, ...] = (ENCODER, DecoderGraph(), ReconstructGraph(), SCORE, SampleGraph(), GenerateGraph())
"""The graphs of images and tables, but the detector's; those that are put together come after their parts."""
STEPWISE: tuple[Graph, ...] = (ENCODER, SCORE, *WRITING)
"""The graphs of a model that writes token by token."""


def graphs_of(
    model: VAE,
    detector: Detector | None,
    denoiser: Denoiser | SoundDenoiser | None = None,
    images: Literal["whole", "real"] | None = None,
) -> tuple[Graph, ...]:
    """The graphs that a bundle has; `images` is of what values they draw images, None for none."""
    if isinstance(model.likelihood, AutoregressiveLikelihood):
        return STEPWISE
    detects = () if detector is None else (DetectGraph(detector),)
    if isinstance(model.scaling, FeatureScaling):
        return (ENCODER, SCORE, *detects)
    denoises: tuple[Graph, ...] = () if denoiser is None else (DenoiseGraph(denoiser),)
    if isinstance(denoiser, SoundDenoiser):
        denoises += (DenoiseStreamGraph(denoiser),)
    base = (BaseGraph(),) if isinstance(model.sampler, Invertible) else ()
    whole = WHOLE_IMAGES if isinstance(model, SpatialVAE) else ()
    draws = DRAWING if isinstance(model, TableVAE) else ()
    if images is not None:
        draws = (DrawImageGraph(images == "whole"), SampleDrawnGraph(images == "whole"))
    sure = (MapDenoiseGraph(denoiser),) if whole and isinstance(denoiser, Denoiser) and not denoiser.noise.any() else ()
    return (*GRAPHS, *draws, *detects, *denoises, *base, *whole, *sure)
