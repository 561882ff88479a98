"""A denoiser of sound: the transform of the noisy recording with each bin made quieter, back to samples.

    log power of the clean bin, given z  ~  N(m, s²) at the posterior's mean of z        Y: the noisy transform
    gain g = min(1, |X| / |Y|)                clean = inverse(E[g] Y)
    Var X = |Y|² (Var g + E[g] (1 - E[g]))    interval by Var x

Both moments of g have a closed form, since log |X| is Gaussian. The first part of Var X is the decoder's doubt of how
loud a bin is, the second Wiener's posterior variance for that gain, which stands for the phase that is unknown.

A sample depends on the samples around it in a reach that is known. So a stretch of a recording is denoised by itself:
`forward` puts silence around the recording, and `stream` the samples that were heard before.

Source: Ephraim and Malah, Speech Enhancement Using a Minimum Mean-Square Error Log-Spectral Amplitude Estimator, 1985,
for gains by log spectra; Loizou, Speech Enhancement, 2013, section 6.4, for Wiener's.
"""

import copy
import math
from typing import NamedTuple, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.denoiser import DenoiserOutputs
from vae_pipeline.models.frames import FramesVAE
from vae_pipeline.models.intervals import Intervals
from vae_pipeline.models.likelihoods.location_scale import Continuous
from vae_pipeline.models.sound.stretch import StretchTransform
from vae_pipeline.models.sound.view import SpectrogramScaling

FLOOR = 0.5 / 2**15
"""The least deviation of a sample: half a level of 16 bits."""
Waves = Float[Tensor, "batch channels samples"]


class StreamOutputs(NamedTuple):
    """Clean samples, later than the noisy ones by the latency, their intervals, and what the next chunk needs."""

    clean: Waves
    low: Waves
    high: Waves
    next_state: Waves


class SoundDenoiser(nn.Module):
    """A model's clean recordings and their intervals, as arithmetic alone that can be exported whole."""

    def __init__(self, model: FramesVAE) -> None:
        super().__init__()
        assert isinstance(model.scaling, SpectrogramScaling)  # a recipe says so
        self.model, self.scaling = model, model.scaling
        self.stretches = StretchTransform(model.scaling.fourier)
        self.intervals = Intervals(torch.zeros(1), torch.zeros(1))
        self.hop = self.stretches.hop
        self.latency = self.stretches.around + self.hop * model.reach.after
        """Samples by which a stream's answer is later than what it is given."""
        self.context = self.latency + self.stretches.around + self.hop * model.reach.before
        """Samples beside a stretch that its answer depends on, before and after it together."""

    def frozen(self) -> Self:
        """A copy whose model's prior and sampler are made: arithmetic alone, which can be exported."""
        copied = copy.copy(self)
        copied._modules = {**self._modules, "model": self.model.frozen()}
        return copied

    def within(self, heard: Waves) -> tuple[Waves, Waves]:
        """Clean samples and their deviations, not yet scaled, of a stretch of recordings: `context` samples fewer."""
        spectra = self.stretches(heard.flatten(0, 1))
        scaled = self.scaling.scaled(spectra).unflatten(0, (-1, self.scaling.channels))
        found = self.model.reconstructed(scaled)
        assert isinstance(found, Continuous)  # a recipe says so
        louder = (0.5 * self.scaling.depth) * (found.mean - scaled)
        deviation = (0.5 * self.scaling.depth) * found.variance.sqrt()
        mean, variance = (each.flatten(0, 1) for each in gain(louder, deviation))
        first, last = self.model.reach.before, spectra.shape[-1] - self.model.reach.after
        spectra, mean, variance = (each[..., first:last] for each in (spectra, mean, variance))
        clean = self.stretches.inverse(spectra * mean.unsqueeze(1))
        doubt = self.stretches.variance(spectra.square().sum(1) * (variance + mean * (1 - mean)))
        return clean.clamp(-1, 1).unflatten(0, (-1, self.scaling.channels)), (doubt + FLOOR**2).sqrt().unflatten(
            0, (-1, self.scaling.channels)
        )

    def estimate(self, x: Waves) -> tuple[Waves, Waves]:
        """Clean samples and their deviations, not yet scaled, of whole recordings with silence around them."""
        length = x.shape[-1]
        after = self.latency + -length % self.hop
        clean, deviation = self.within(nn.functional.pad(x, (self.context - self.latency, after)))
        return clean[..., :length], deviation[..., :length]

    def forward(self, x: Waves, label: Tensor | None = None) -> DenoiserOutputs:  # noqa: ARG002 (as of images)
        """Denoise whole recordings."""
        return DenoiserOutputs(*self._ends(*self.estimate(x)))

    def stream(self, chunk: Waves, state: Waves) -> StreamOutputs:
        """Denoise the next samples, a multiple of the hop, after `context` samples, which are silence at first."""
        heard = torch.cat([state, chunk], -1)
        return StreamOutputs(*self._ends(*self.within(heard)), heard[..., -self.context :])

    def _ends(self, clean: Waves, deviation: Waves) -> tuple[Waves, Waves, Waves]:
        away = self.intervals(deviation)
        return clean, (clean - away).clamp_min(-1), (clean + away).clamp_max(1)


def gain(mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of min(1, exp(n)), where n ~ N(mean, deviation²); deviations count as 2 at most, or 17 dB.

    E[min(1, e^n)^p] = exp(p mean + p² deviation² / 2) Φ(-mean / deviation - p deviation) + Φ(mean / deviation)
    """
    deviation = deviation.clamp_max(2)
    ratio = mean / deviation
    first, second = (
        (power * mean + (power * deviation).square() / 2).exp() * normal(-ratio - power * deviation) + normal(ratio)
        for power in (1, 2)
    )
    return first.clamp_max(1), (second - first.square()).clamp_min(0)


def normal(x: Tensor) -> Tensor:
    """Φ(x) to 1e-7; some runtimes lack Erf.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.2.17.
    """
    t = 1 / (1 + 0.2316419 * x.abs())
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = (-0.5 * x.square()).exp() * (series / math.sqrt(2 * math.pi))
    return torch.where(x > 0, 1 - tail, tail)
