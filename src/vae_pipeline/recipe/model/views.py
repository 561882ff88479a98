"""The view: what encoder and likelihood see of a recording or an image. It is computed inside the model and its graphs.

A view of images gives maps of features. They are standardised as the training part has them: each value to the mean 0,
each channel to the deviation 1. An image can't be made of features, so that such a model encodes, scores and detects.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vae_pipeline.recipe.section import Count, Place, Section, later


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


class HogView(Section):
    """Histograms of oriented gradients: how strong the edges of each direction are in each cell, beside those of its
    neighbours; lighting and contrast are divided out. Of a colour image, each pixel's strongest channel counts."""

    kind: Literal["hog"]
    cell: Count
    """The side of a cell in pixels; what a row of cells leaves over at the right and below isn't seen."""
    block: Count = 2
    """Cells to a side of a block, within which histograms are normalised; blocks overlap by all but a cell."""
    orientations: Annotated[Count, Field(ge=2, le=36)] = 9
    """Directions that a half-turn is divided into."""


class LogGradientView(Section):
    """The logarithm of the gradient's mean magnitude in each cell: where edges are, dim ones as well as bright ones."""

    kind: Literal["log_gradient"]
    cell: Count = 1
    """The side of a cell in pixels; what a row of cells leaves over at the right and below isn't seen."""


class OnnxView(Section):
    """A network of the user's, such as one that was trained to name photographs: its answer is what is seen. Its
    weights are in every graph of the bundle, and training leaves them as they are."""

    kind: Literal["onnx"]
    file: Place
    """Path of an .onnx file with one input, images [batch, channels, height, width] on [0, 1], and one output: maps
    [batch, features, rows, columns], or [batch, features]. A network of colour is shown grey images thrice."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The digest that the file must have, or null for any; `train` keeps the one that it found beside the weights."""


SoundView = WaveformView | SpectrogramView
FeatureView = HogView | LogGradientView | OnnxView
"""Views of images."""
View = Annotated[SoundView | FeatureView, Field(discriminator="kind")]
