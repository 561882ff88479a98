"""The short-time Fourier transform of a stretch of sound that begins and ends anywhere, and the way back to samples.

Frames are those that lie within the stretch, and the samples that come back those that as many frames cover as ever
do: frame - hop fewer on either side. So a recording in pieces gives what it gives as a whole.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.sound.fourier import Fourier, Spectra

Stretch = Float[Tensor, "rows samples"]


class StretchTransform(nn.Module):
    """The transform of stretches, and its inverse."""

    analysis: Tensor
    synthesis: Tensor
    spreading: Tensor
    twice: Tensor

    def __init__(self, fourier: Fourier) -> None:
        super().__init__()
        self.frame, self.hop, self.bins = fourier.frame, fourier.hop, fourier.bins
        # The sum of the squares of all windows over a sample repeats with the hop.
        whole = fourier.window.square().view(-1, self.hop).sum(0).repeat(self.frame // self.hop)
        self.register_buffer("analysis", fourier.analysis, persistent=False)
        self.register_buffer("synthesis", fourier.synthesis / whole, persistent=False)
        squares = (fourier.window / whole / self.frame).square()[None, None]
        self.register_buffer("spreading", squares, persistent=False)
        twice = torch.full([self.bins, 1], 2.0)
        twice[0] = twice[-1] = 1
        self.register_buffer("twice", twice, persistent=False)

    @property
    def around(self) -> int:
        """Samples on either side of a stretch that don't come back."""
        return self.frame - self.hop

    def forward(self, x: Stretch) -> Spectra:
        """The transform."""
        rows: Tensor = nn.functional.conv1d(x.unsqueeze(1), self.analysis, stride=self.hop)
        spectra: Tensor = rows.unflatten(1, (2, self.bins))
        return spectra

    def inverse(self, spectra: Spectra) -> Stretch:
        """The samples."""
        return self._added(spectra.flatten(1, 2), self.synthesis)

    def variance(self, variances: Float[Tensor, "rows bins frames"]) -> Stretch:
        """Variances of samples whose transform has errors, each independent of the others, of mean squares `variances`.

            Var x_n = Σ_t v²[n - hop t] Σ_k Var X_kt / frame²        v: the window by which frames are added up

        Neighbouring frames have errors in common, which isn't counted: it is a shape, to be scaled.
        """
        return self._added((self.twice * variances).sum(1, keepdim=True), self.spreading)

    def _added(self, rows: Tensor, basis: Tensor) -> Stretch:
        added: Tensor = nn.functional.conv_transpose1d(rows, basis, stride=self.hop, padding=self.around)
        samples: Tensor = added.squeeze(1)
        return samples
