"""The spectral distance of two recordings in several resolutions: how differently they sound, whatever their phases."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.sound.fourier import Fourier, Waves, power

FRAMES = (64, 256, 1024)
"""Samples of a frame in each resolution; a hop is a quarter of one."""
FLOOR_DB = -80.0  # relative to the loudest magnitude: what is quieter is as quiet as that


class SpectralDistance(nn.Module):
    """The mean over resolutions of ‖|S| - |T|‖ / ‖|T|‖ + mean |log |S| - log |T||, of each recording.

    Source: Yamamoto, Song and Kim, Parallel WaveGAN, 2020, eq. 4 to 6.
    """

    def __init__(self, length: int, frames: Sequence[int] = FRAMES) -> None:
        """Frames that are longer than the recordings are left out, but for the shortest."""
        super().__init__()
        chosen = [frame for frame in frames if frame <= max(length, min(frames))]
        self.resolutions = nn.ModuleList(Fourier(length, frame, frame // 4) for frame in chosen)

    def forward(self, found: Waves, wanted: Waves) -> Float[Tensor, " rows"]:
        """Distances; 0 of equal recordings."""
        return torch.stack([self._distance(each, found, wanted) for each in self.resolutions]).mean(0)

    def _distance(self, resolution: nn.Module, found: Tensor, wanted: Tensor) -> Tensor:
        assert isinstance(resolution, Fourier)
        floor = (resolution.gain * 10 ** (FLOOR_DB / 20)) ** 2
        first, second = (((power(resolution(x)) + floor).sqrt()).flatten(1) for x in (found, wanted))
        apart = (first - second).norm(dim=1) / second.norm(dim=1)
        distance: Tensor = apart + (first.log() - second.log()).abs().mean(1)
        return distance
