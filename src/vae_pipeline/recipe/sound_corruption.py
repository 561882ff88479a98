"""Corruptions of sound, as `train.denoise` names them.

A signal-to-noise ratio is that of mean squares in dB: the recording's, from its first to its last sample that isn't 0,
to the noise's over the whole window. So it doesn't depend on how much silence a recording was padded with. A silent
recording has none, and stays silent.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field

from vae_pipeline.recipe.corruption import CorruptionStep, ShareLevel, rising
from vae_pipeline.recipe.section import Fraction

Decibels = Annotated[float, Field(ge=-60, le=120)]
Snr = Annotated[Decibels | tuple[Decibels, Decibels], AfterValidator(rising)]


class WhiteNoise(CorruptionStep):
    """Gaussian noise that is as strong at all frequencies."""

    words = "white noise at {snr_db} dB"
    kind: Literal["white"]
    snr_db: Snr
    """Signal-to-noise ratio."""

    def at(self, snr_db: float) -> Self:
        """The same at one ratio."""
        return self.model_copy(update={"snr_db": snr_db})


class PinkNoise(CorruptionStep):
    """Gaussian noise whose power falls as 1 / frequency."""

    words = "pink noise at {snr_db} dB"
    kind: Literal["pink"]
    snr_db: Snr
    """Signal-to-noise ratio."""

    def at(self, snr_db: float) -> Self:
        """The same at one ratio."""
        return self.model_copy(update={"snr_db": snr_db})


class RecordedNoise(CorruptionStep):
    """A stretch of the recordings that `data.noises` names; each part of the data has its own of them."""

    words = "recorded noise at {snr_db} dB"
    kind: Literal["noises"]
    snr_db: Snr
    """Signal-to-noise ratio."""
    drawn: Fraction = 0.0
    """The probability that Gaussian noise of a spectrum that is drawn takes the recording's place: its power changes by
    up to 6 dB or so from an octave to the next. A model hears more kinds of noise so than were recorded."""

    @property
    def told(self) -> str:
        """The corruption with its ratio and the share that is drawn."""
        return super().told + (f" (drawn instead for {100 * self.drawn:.3g} % of recordings)" if self.drawn else "")

    def at(self, snr_db: float) -> Self:
        """The recorded ones alone, at one ratio."""
        return self.model_copy(update={"snr_db": snr_db, "drawn": 0.0})


class Reverberation(CorruptionStep):
    """The recording in a room: its convolution with an impulse response that `data.rooms` names, which begins at its
    highest peak and is scaled so that this is 1."""

    words = "the reverberation of rooms"
    kind: Literal["reverberation"]


class Clipping(CorruptionStep):
    """Samples beyond a share of the recording's peak are set to it."""

    words = "clipping at a share of {level} of the peak"
    kind: Literal["clipping"]
    level: ShareLevel
    """Share of the peak."""


SoundStep = WhiteNoise | PinkNoise | RecordedNoise | Reverberation | Clipping
SoundCorruption = Annotated[SoundStep, Field(discriminator="kind")]
NoiseStep = WhiteNoise | PinkNoise | RecordedNoise
"""Corruptions that have a signal-to-noise ratio."""
