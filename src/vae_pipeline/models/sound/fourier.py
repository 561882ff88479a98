"""The short-time Fourier transform and its inverse, which graphs hold as convolutions with constant bases.

    X[k, t] = Σ_n w[n] x[n + hop t - frame / 2] exp(-2πi k n / frame)           k = 0, ..., frame / 2

w is a periodic Hann window, and x is silent before its start and after its end. The inverse adds the frames up, each
windowed once more, and divides by the sum of the windows' squares (Griffin and Lim, 1984, eq. 6): of an X that is the
transform of a recording it gives the recording, and of any other the recording whose transform is nearest.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

Waves = Float[Tensor, "rows length"]
Spectra = Float[Tensor, "rows 2 bins frames"]
"""Real parts, and imaginary ones after them: ONNX has complex numbers in few operators."""


class Fourier(nn.Module):
    """The transform of recordings of one length, and its inverse."""

    window: Tensor
    analysis: Tensor
    synthesis: Tensor
    weight: Tensor

    def __init__(self, length: int, frame: int, hop: int) -> None:
        """`frame` is a multiple of `hop`, twice as long at least; both in samples."""
        super().__init__()
        assert frame % 2 == 0 and frame % hop == 0 and frame >= 2 * hop  # the recipe says so
        self.length, self.frame, self.hop = length, frame, hop
        self.bins, self.frames = frame // 2 + 1, -(-length // hop) + 1
        window = torch.hann_window(frame, dtype=torch.float64)
        self.register_buffer("window", window.float(), persistent=False)
        self.gain = float(window.sum())
        """The most that |X| is of samples within [-1, 1]."""
        angles = (2 * math.pi / frame) * torch.outer(torch.arange(self.bins), torch.arange(frame)).double()
        waves = torch.cat([angles.cos(), -angles.sin()])
        # All bins but the first and the last stand for their conjugates too.
        twice = torch.full([self.bins, 1], 2.0, dtype=torch.float64)
        twice[0] = twice[-1] = 1
        self._keep("analysis", waves * window)
        self._keep("synthesis", torch.cat([twice, twice]) * waves * window / frame)
        squares = window.square().expand(self.frames, -1).mT[None]
        added = nn.functional.fold(squares, (1, self._padded + frame), (1, frame), stride=(1, hop))[0, 0, 0]
        self.register_buffer("weight", (1 / added[frame // 2 :][:length]).float(), persistent=False)

    @property
    def _padded(self) -> int:
        """The length made a multiple of the hop."""
        return (self.frames - 1) * self.hop

    def _keep(self, name: str, basis: Tensor) -> None:
        self.register_buffer(name, basis.float().unsqueeze(1), persistent=False)

    def forward(self, x: Waves) -> Spectra:
        """The transform; beyond the recording all is silent."""
        if self._padded > self.length:
            x = nn.functional.pad(x, (0, self._padded - self.length))
        if torch.compiler.is_exporting():
            return self.convolved(x)
        # torch's own is faster, and of full precision on a GPU and beside bfloat16.
        found = torch.stft(x, self.frame, self.hop, window=self.window, pad_mode="constant", return_complex=True)
        return torch.view_as_real(found).movedim(-1, 1)

    def convolved(self, x: Waves) -> Spectra:
        """The same of recordings whose length is a multiple of the hop, by a convolution."""
        rows = nn.functional.conv1d(x.unsqueeze(1), self.analysis, stride=self.hop, padding=self.frame // 2)
        found: Tensor = rows.unflatten(1, (2, self.bins))
        return found

    def inverse(self, spectra: Spectra) -> Waves:
        """The recording whose transform is nearest."""
        added = nn.functional.conv_transpose1d(
            spectra.flatten(1, 2), self.synthesis, stride=self.hop, padding=self.frame // 2
        )
        return added.squeeze(1)[:, : self.length] * self.weight


def power(spectra: Spectra) -> Float[Tensor, "rows 1 bins frames"]:
    """|X|²."""
    return spectra.square().sum(1, keepdim=True)
