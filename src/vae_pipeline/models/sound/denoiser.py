"""A denoiser of sound: the transform of the noisy recording with each bin made quieter, back to samples.

    loudness of the clean bin  ~  N(m, s²) at the posterior's mean of z     A(m): its magnitude       Y: the noisy bin
    gain g = min(1, A(m) / |Y|)                             clean = inverse(g Y)
    Var X = ((A(m + s) - A(m - s)) / 2)² + g (1 - g) |Y|²   interval by Var X

The first part of Var X is the decoder's doubt of how loud a bin is, the second Wiener's posterior variance for that
gain, which stands for the phase that is unknown.

A sample depends on the samples around it in a reach that is known. So a stretch of a recording is denoised by itself:
`forward` puts silence around the recording, and `stream` the samples that were heard before.

Source: Loizou, Speech Enhancement: Theory and Practice, 2013, chapters 6 and 7, for gains and Wiener's variance.
"""

import copy
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
LEAST = 1e-4  # added to a power, in floors, that is divided by
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

    def within(self, x: Waves) -> tuple[Waves, Waves]:
        """Clean samples and their deviations, not yet scaled, of a stretch of recordings: `context` samples fewer."""
        spectra = self.stretches(x.flatten(0, 1))
        found = self.model.reconstructed(self.scaling.scaled(spectra).unflatten(0, (-1, self.scaling.channels)))
        assert isinstance(found, Continuous)  # a recipe says so
        mean, deviation = (each.flatten(0, 1) for each in (found.mean, found.variance.sqrt().expand(found.mean.shape)))
        loud, louder, quieter = (self.scaling.magnitude(mean + by * deviation) for by in (0, 1, -1))
        heard = spectra.square().sum(1) * (1 / self.scaling.unit**2)
        gain = (loud / (heard + LEAST).sqrt()).clamp_max(1)
        doubt = ((louder - quieter) / 2).square().minimum(heard) + gain * (1 - gain) * heard
        first, last = self.model.reach.before, spectra.shape[-1] - self.model.reach.after
        spectra, gain, doubt = (each[..., first:last] for each in (spectra, gain, doubt))
        clean = self.stretches.inverse(spectra * gain.unsqueeze(1)).clamp(-1, 1)
        around = (self.stretches.variance(doubt).sqrt() * self.scaling.unit).clamp_min(FLOOR)
        return clean.unflatten(0, (-1, self.scaling.channels)), around.unflatten(0, (-1, self.scaling.channels))

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
