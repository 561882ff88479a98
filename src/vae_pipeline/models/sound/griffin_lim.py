"""Phases for magnitudes that come without any: the fast algorithm of Griffin and Lim, so many steps of it.

A step takes the recording that is nearest to the magnitudes with the phases so far, and the phases of its transform,
led on in the direction of the last step. It begins with drawn phases, always the same: equal ones, or those of steady
tones, make frames that are alike, whose sums nearly vanish somewhere, and phases there would be rounding.

Source: Perraudin, Balazs and Søndergaard, A Fast Griffin-Lim Algorithm, 2013.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.sound.fourier import Fourier, Spectra, Waves, power

MOMENTUM = 0.99
LEAST = 1e-2  # added to a power in units of the floor: so far below it there is no phase, and rounding makes none


class GriffinLim(nn.Module):
    """Magnitudes to recordings."""

    start: Tensor

    def __init__(self, fourier: Fourier, steps: int) -> None:
        super().__init__()
        self.fourier, self.steps = fourier, steps
        turns = torch.rand(fourier.bins, fourier.frames, generator=torch.Generator().manual_seed(0))
        angles = 2 * math.pi * turns.double()
        self.register_buffer("start", torch.stack([angles.cos(), angles.sin()]).float(), persistent=False)

    def forward(self, magnitudes: Float[Tensor, "rows bins frames"]) -> Waves:
        """Recordings whose transforms have about these magnitudes, in units of the floor."""
        magnitudes = magnitudes.unsqueeze(1)
        phases: Spectra = self.start
        before: Spectra | None = None
        for _ in range(self.steps):
            rebuilt = self.fourier(self.fourier.inverse(magnitudes * phases))
            led = rebuilt if before is None else rebuilt - before * (MOMENTUM / (1 + MOMENTUM))
            phases, before = led * (power(led) + LEAST).rsqrt(), rebuilt
        return self.fourier.inverse(magnitudes * phases)
