"""The spectral distance of waveforms as a term of training."""

from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.sound.distance import SpectralDistance

Waveforms = Float[Tensor, "batch channels length"]


class WaveformDistance(nn.Module):
    """The multi-resolution spectral distance, averaged over recordings and channels."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.distance = SpectralDistance(length)

    def forward(self, found: Waveforms, wanted: Waveforms) -> Float[Tensor, ""]:
        """The distance, which `found` has a gradient of; both are on [0, 1], where silence is a half."""
        sounds = (2 * x.flatten(0, 1) - 1 for x in (found, wanted))
        mean: Tensor = self.distance(*sounds).mean()
        return mean
