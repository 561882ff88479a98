"""The view of sound: what encoder and likelihood see of a recording. It is computed inside the model and its graphs."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vae_pipeline.recipe.section import Count, Section, later


class WaveformView(Section):
    """The samples themselves, scaled to [0, 1]: silence is a half."""

    kind: Literal["waveform"]


class SpectrogramView(Section):
    """Log magnitudes of a short-time Fourier transform, or of mel bands of it, scaled to [0, 1] from the floor to the
    loudest that can be."""

    kind: Literal["spectrogram"]
    frame: Count
    """Samples of a frame, whose window is a periodic Hann window: even, and a multiple of the hop."""
    hop: Count
    """Samples from a frame to the next; half a frame at most."""
    mel: Count | None = None
    """Bands on the mel scale, or null for all frame / 2 + 1 frequencies."""
    floor_db: Annotated[float, Field(ge=-120, le=-20)] = later(-80.0)
    """The magnitude, in dB relative to the loudest, in which what is quieter is lost."""
    griffin_lim: Annotated[Count, Field(le=256)] = later(16)
    """Steps by which phases are found for sound that has none, as samples have not."""

    @model_validator(mode="after")
    def _frames_overlap(self) -> "SpectrogramView":
        if self.frame % 2 or self.frame % self.hop or self.frame < 2 * self.hop:
            raise ValueError(
                f"view.frame is {self.frame} and view.hop {self.hop}; a frame is even, and a multiple of the hop, "
                f"twice as long at least: set frame to {4 * self.hop}, or another"
            )
        return self


View = Annotated[WaveformView | SpectrogramView, Field(discriminator="kind")]
