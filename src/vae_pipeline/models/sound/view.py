"""Recordings to spectrograms of log magnitudes, and back; a scaling, and so part of every exported graph.

    s = log(1 + p / floor) / log(1 / floor)        p = |X / gain|², or a mel band's mean of it

The gain is the most that |X| can be of samples within [-1, 1], so that s is 0 where nothing sounds and 1 at most (but
for 1e-8 or so). Within, p is counted in floors: torch's exporter would leave out a floor that is added to p as nothing.
"""

import math

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from vae_pipeline.models.sound.fourier import Fourier, power
from vae_pipeline.models.sound.griffin_lim import GriffinLim
from vae_pipeline.models.sound.mel import Mel

Recordings = Shaped[Tensor, "*batch channels length"]
Spectrograms = Float[Tensor, "*batch channels bands frames"]


class SpectrogramScaling(nn.Module):
    """Raw recordings within [-1, 1] to log magnitudes on [0, 1], and back."""

    def __init__(
        self,
        shape: tuple[int, int],
        rate_hz: int,
        frame: int,
        hop: int,
        mel: int | None,
        floor_db: float,
        griffin_lim: int,
    ) -> None:
        """`shape` is channels and length. `floor_db`, under 0, is a magnitude relative to the highest.

        Raises:
            RecipeError: there are too many mel bands for the frame.
        """
        super().__init__()
        self.channels, length = shape
        self.fourier = Fourier(length, frame, hop)
        self.phases = GriffinLim(self.fourier, griffin_lim)
        self.shape = (self.channels, mel or self.fourier.bins, self.fourier.frames)
        """The shape of a spectrogram."""
        self.unit = self.fourier.gain * 10 ** (floor_db / 20)
        """The floor as a magnitude of the transform."""
        self.depth = -floor_db / 10 * math.log(10)
        """log(1 / floor)."""
        self.mel = None if mel is None else Mel(mel, self.fourier.bins, rate_hz)

    def forward(self, x: Recordings) -> Spectrograms:
        """Log magnitudes."""
        values: Tensor = self.scaled(self._transformed(x)).unflatten(0, x.shape[:-1])
        return values

    def inverse(self, values: Spectrograms) -> Recordings:
        """Recordings of about these magnitudes, which 1 is the highest of, with phases by Griffin and Lim."""
        values, batch = values.flatten(0, -3).clamp(max=1.0), values.shape[:-2]
        powers = self._powers(values)
        if self.mel is not None:
            powers = self.mel.solved(powers, self._powers(self.mel.spread(values)))
        waves: Tensor = self.phases(powers.sqrt()).unflatten(0, batch)
        return waves * self.unit

    def resounded(self, values: Spectrograms, x: Recordings) -> Recordings:
        """Raw recordings `x` made as loud, at every time and frequency, as `values` say; the phases stay theirs.

        Of the values of `x` itself they are `x`.
        """
        spectra = self._transformed(x)
        louder = values.flatten(0, -3) - self.scaled(spectra)
        if self.mel is not None:
            louder = self.mel.spread(louder)
        gains = (louder * (0.5 * self.depth)).exp()
        waves: Tensor = self.fourier.inverse(spectra * gains.unsqueeze(1)).unflatten(0, x.shape[:-1])
        return waves

    def scaled(self, spectra: Float[Tensor, "rows 2 bins frames"]) -> Float[Tensor, "rows bands frames"]:
        """Log magnitudes of a transform, of any number of frames."""
        powers = power(spectra).squeeze(1) * (1 / self.unit**2)
        means = powers if self.mel is None else self.mel(powers)
        values: Tensor = means.log1p() * (1 / self.depth)
        return values

    def magnitude(self, values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Magnitudes, in floors, of log magnitudes."""
        found: Tensor = self._powers(values).sqrt()
        return found

    def _transformed(self, x: Tensor) -> Tensor:
        spectra: Tensor = self.fourier(x.float().flatten(0, -2))
        return spectra

    def _powers(self, values: Tensor) -> Tensor:
        return (values * self.depth).expm1().clamp_min(0)
