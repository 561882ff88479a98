"""Training recordings of another loudness, speed and colour: the changes of one epoch, one for each recording."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vae_pipeline.models.sound.corruption import OCTAVES, between_octaves
from vae_pipeline.recipe.train import Augment


@dataclass(frozen=True)
class SoundAugmentation:
    """The changes by the number of the row, so that neither batches nor processes alter them."""

    speed: Float[Tensor, " rows"]
    """The factor by which a recording is played faster, its middle in its place."""
    level_db: Float[Tensor, "rows octaves"]
    """Decibels by which it is louder at each octave, the last of which ends with the highest frequency."""

    @classmethod
    def draw(cls, augment: Augment, rows: int, generator: torch.Generator, device: torch.device) -> "SoundAugmentation":
        """Draw the changes of so many recordings: evenly in dB, and in the logarithm of the speed."""
        evenly = 2 * torch.rand(rows, generator=generator) - 1
        least, most = augment.loudness_db or (0.0, 0.0)
        louder = least + (most - least) * torch.rand(rows, generator=generator)
        walk = (augment.octave_db * torch.randn(rows, OCTAVES, generator=generator)).cumsum(1)
        colour = walk - walk.mean(1, keepdim=True)
        return cls((evenly * math.log(augment.speed)).exp().to(device), (louder[:, None] + colour).to(device))

    def __call__(
        self, x: Float[Tensor, "batch channels length"], rows: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch channels length"]:
        """The recordings `x` of these rows, changed; what is heard from outside is silence."""
        played, bins = self._played(x, self.speed[rows]), x.shape[2] // 2 + 1
        gain = 10 ** (between_octaves(self.level_db[rows], bins) / 20)
        heard: Tensor = torch.fft.irfft(torch.fft.rfft(played) * gain[:, None], n=x.shape[2])
        return heard

    def _played(self, x: Float[Tensor, "batch channels length"], speed: Float[Tensor, " batch"]) -> Tensor:
        """Samples at other times, by cubic interpolation: of a tone of 440 Hz at 8 kHz, good to 2 %."""
        if (speed == 1).all():
            return x
        place = torch.linspace(-1, 1, x.shape[2], device=x.device) * speed[:, None]
        grid = torch.stack([place, torch.zeros_like(place)], -1)[:, None]
        return nn.functional.grid_sample(x[:, :, None], grid, mode="bicubic", align_corners=True)[:, :, 0]
