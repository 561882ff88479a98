"""Recordings that are corrupted: each kind is a function of a recording, what it takes, and a generator.

A noise n is added so that 10 log10(mean x² / mean n²) is the signal-to-noise ratio: the mean over the recording from
its first to its last sample that isn't 0, and over the whole window of the noise. Where either is silent, none is.
Nothing is clipped but by `clipping`, so that samples beyond full scale may come out.
"""

import math
from collections.abc import Mapping
from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor

from vae_pipeline.kinds.audio.tape import Tape
from vae_pipeline.models.levels import level_of
from vae_pipeline.recipe import sound_corruption as recipe

Wave = Float[Tensor, "channels length"]
OCTAVE_DB = 6.0  # the standard deviation of the change of a drawn spectrum's power from an octave to the next
OCTAVES = 10


def white(x: Wave, generator: torch.Generator) -> Wave:
    """N(0, 1) at each sample."""
    return torch.randn(x.shape, generator=generator)


def pink(x: Wave, generator: torch.Generator) -> Wave:
    """Gaussian noise whose power falls as 1 / frequency."""
    spectrum = torch.fft.rfft(white(x, generator))
    spectrum[:, 0] = 0
    spectrum[:, 1:] *= torch.arange(1, spectrum.shape[1]).rsqrt()
    noise: Tensor = torch.fft.irfft(spectrum, n=x.shape[1])
    return noise


def coloured(x: Wave, generator: torch.Generator) -> Wave:
    """Gaussian noise whose log power is a random walk over octaves, straight between them."""
    spectrum = torch.fft.rfft(white(x, generator))
    walk = (OCTAVE_DB * torch.randn(OCTAVES, generator=generator)).cumsum(0)
    noise: Tensor = torch.fft.irfft(spectrum * 10 ** (between_octaves(walk, spectrum.shape[1]) / 20), n=x.shape[1])
    return noise


def between_octaves(at: Float[Tensor, "*batch octaves"], bins: int) -> Float[Tensor, "*batch bins"]:
    """Values at octaves that end with the highest frequency, at the bins of a transform: straight between them."""
    octave = torch.linspace(0, 1, bins, device=at.device).clamp_min(2.0 ** (2 - OCTAVES)).log2() + OCTAVES - 2
    below = octave.floor().long()
    return at[..., below].lerp(at[..., below + 1], octave - below)


def recorded(x: Wave, tape: Tape, generator: torch.Generator) -> Wave:
    """A stretch of a tape, from a place that is drawn evenly over all of it."""
    start = int(torch.randint(tape.samples, (), generator=generator))
    return torch.from_numpy(tape.stretch(start, x.shape[1]))


def noisy(x: Wave, noise: Wave, snr_db: float) -> Wave:
    """x + noise at that signal-to-noise ratio; x where either is silent."""
    heard = x.abs().amax(0).nonzero()
    power = noise.square().mean()
    if not len(heard) or power == 0:
        return x
    own = x[:, heard[0, 0] : heard[-1, 0] + 1].square().mean()
    return x + noise * (own / power).sqrt() * 10 ** (-snr_db / 20)


def reverberated(x: Wave, tape: Tape, generator: torch.Generator) -> Wave:
    """The recording in one of the rooms of a tape."""
    impulse = torch.from_numpy(tape.recording(int(torch.randint(len(tape), (), generator=generator))))
    peak = int(impulse.abs().amax(0).argmax())
    impulse = impulse[:, peak:] / impulse.abs().max()
    size = 2 ** math.ceil(math.log2(x.shape[1] + impulse.shape[1]))
    heard: Tensor = torch.fft.irfft(torch.fft.rfft(x, n=size) * torch.fft.rfft(impulse, n=size), n=size)
    return heard[:, : x.shape[1]]


def clipped(x: Wave, level: float) -> Wave:
    """Samples beyond that share of the peak set to it."""
    most = level * x.abs().max()
    return x.clamp(-most, most)


def corrupted_sound(
    x: Wave, step: recipe.SoundCorruption, beside: Mapping[str, Tape], generator: torch.Generator
) -> Wave:
    """One step on one recording; `beside` holds the noises and the rooms."""
    match step:
        case recipe.WhiteNoise():
            return noisy(x, white(x, generator), level_of(step.snr_db, generator))
        case recipe.PinkNoise():
            return noisy(x, pink(x, generator), level_of(step.snr_db, generator))
        case recipe.RecordedNoise():
            drawn = torch.rand((), generator=generator).item() < step.drawn
            noise = coloured(x, generator) if drawn else recorded(x, beside["noises"], generator)
            return noisy(x, noise, level_of(step.snr_db, generator))
        case recipe.Reverberation():
            return reverberated(x, beside["rooms"], generator)
        case recipe.Clipping():
            return clipped(x, level_of(step.level, generator))
        case _:
            assert_never(step)
