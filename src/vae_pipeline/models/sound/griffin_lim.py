"""Phases for magnitudes that come without any: the fast algorithm of Griffin and Lim, so many steps of it.

A step takes the recording that is nearest to the magnitudes with the phases so far, and the phases of its transform,
led on in the direction of the last step. It begins with drawn phases, always the same: equal ones, or those of steady
tones, make frames that are alike, whose sums nearly vanish somewhere, and phases there would be rounding.

In an exported graph all steps are one node, whose place `export.griffin_lim` gives to them; tests hold the two equal.

Source: Perraudin, Balazs and Søndergaard, A Fast Griffin-Lim Algorithm, 2013.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.sound.fourier import Fourier, Spectra, Waves, power

OPERATOR = "vae_pipeline::GriffinLim"
"""The node of a traced graph that stands for all steps."""
MOMENTUM = 0.99
LEAST = 1e-2  # added to a power in units of the floor: so far below it there is no phase, and rounding makes none
CANCELLED = 0.1  # of a magnitude: what frames leave of it where they nearly cancel, and their phase is rounding


class GriffinLim(nn.Module):
    """Magnitudes to recordings."""

    start: Tensor
    weight: Tensor

    def __init__(self, fourier: Fourier, steps: int) -> None:
        super().__init__()
        self.fourier, self.steps = fourier, steps
        turns = torch.rand(fourier.bins, fourier.frames, generator=torch.Generator().manual_seed(0))
        angles = 2 * math.pi * turns.double()
        self.register_buffer("start", torch.stack([angles.cos(), angles.sin()]).float(), persistent=False)
        padded = nn.functional.pad(fourier.weight, (0, (fourier.frames - 1) * fourier.hop - fourier.length))
        self.register_buffer("weight", padded, persistent=False)

    def forward(self, magnitudes: Float[Tensor, "rows bins frames"]) -> Waves:
        """Recordings whose transforms have about these magnitudes, in units of the floor."""
        if torch.compiler.is_exporting():
            return self._as_one_node(magnitudes)
        magnitudes = magnitudes.unsqueeze(1)
        phases: Spectra = self.start
        before: Spectra | None = None
        least = (CANCELLED * magnitudes).square() + LEAST
        for _ in range(self.steps):
            rebuilt = self.fourier(self.fourier.inverse(magnitudes * phases))
            led = rebuilt if before is None else rebuilt - before * (MOMENTUM / (1 + MOMENTUM))
            phases, before = led * (power(led) + least).rsqrt(), rebuilt
        return self.fourier.inverse(magnitudes * phases)

    def _as_one_node(self, magnitudes: Tensor) -> Tensor:
        fourier = self.fourier
        told = {"steps": self.steps, "length": fourier.length, "frame": fourier.frame, "hop": fourier.hop}
        waves: Tensor = torch.onnx.ops.symbolic(
            OPERATOR,
            [magnitudes, self.start, fourier.analysis, fourier.synthesis, self.weight],
            {**told, "bins": fourier.bins, "frames": fourier.frames},
            dtype=magnitudes.dtype,
            shape=(magnitudes.shape[0], fourier.length),
            version=1,
        )
        return waves
