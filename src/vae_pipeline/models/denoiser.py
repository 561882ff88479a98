"""A denoiser: one trained VAE, the draws that its answer is the mean of, and an interval for each clean value.

    clean = E_q[E[x|z]]         deviation² = Var_q(E[x|z]) + E_q[Var(x|z)]         interval = clean ± g(deviation)

q is q(z|corrupted), and E_q a mean over draws by noise that is the same for every example, so that the answer is
deterministic; one draw without noise is the posterior's mean. Var(x|z) is left out where the likelihood is the noise,
since its variance is then that of the noise. g is calibrated (`models.intervals`).
"""

import copy
from typing import NamedTuple, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.intervals import Intervals
from vae_pipeline.models.likelihoods.location_scale import Continuous
from vae_pipeline.models.spatial import SpatialVAE
from vae_pipeline.models.vae import VAE

FLOOR = 0.5 / 255
"""The least deviation, on values scaled to [0, 1]: half a level of 8 bits."""


class DenoiserOutputs(NamedTuple):
    """Clean values in the data's units, and the ends of their intervals, all within the range of the data."""

    clean: Float[Tensor, "batch *event"]
    low: Float[Tensor, "batch *event"]
    high: Float[Tensor, "batch *event"]


class Denoiser(nn.Module):
    """A model's clean values and their intervals, as arithmetic alone that can be exported whole.

    Source: the posterior's mean from noisy data, Prakash, Krull and Jug, Fully Unsupervised Diversity Denoising with
    Convolutional Variational Autoencoders, 2021; q(z|noisy) for clean images, Im, Ahn, Memisevic and Bengio, Denoising
    Criterion for Variational Auto-Encoding Framework, 2017.
    """

    noise: Tensor

    def __init__(self, model: VAE, noise: Float[Tensor, "draws latents"], supervised: bool) -> None:
        """`supervised` if the likelihood is that of the clean values."""
        super().__init__()
        self.model, self.supervised = model, supervised
        self.register_buffer("noise", noise)
        self.intervals = Intervals(torch.zeros(1), torch.zeros(1))

    def frozen(self) -> Self:
        """A copy whose model's prior and sampler are made: arithmetic alone, which can be exported."""
        copied = copy.copy(self)
        copied._modules = {**self._modules, "model": self.model.frozen()}
        return copied

    def estimate(
        self, x: Float[Tensor, "batch *event"], label: Tensor | None = None
    ) -> tuple[Float[Tensor, "batch *event"], Float[Tensor, "batch *event"]]:
        """Clean values on [0, 1] and their deviations, on the same scale."""
        noise = self.noise.unsqueeze(1).expand(-1, x.shape[0], -1)
        drawn = self.model.explain(self.model.scaling(x), self.model.encode(x, label).draw(noise), label).likelihood
        mean = drawn.mean.mean(0)
        variance = (drawn.mean - mean).square().mean(0)
        if self.supervised:
            assert isinstance(drawn, Continuous)  # a recipe says so
            variance = variance + drawn.variance.expand(drawn.mean.shape).mean(0)
        return mean.clamp(0, 1), variance.sqrt().clamp_min(FLOOR)

    def forward(self, x: Float[Tensor, "batch *event"], label: Tensor | None = None) -> DenoiserOutputs:
        """Denoise raw observations."""
        return self._answered(*self.estimate(x, label))

    def of_any_size(
        self, x: Float[Tensor, "batch channels height width"], label: Tensor | None = None
    ) -> DenoiserOutputs:
        """Denoise raw images whose sides the factor of the map of latents divides, at the posterior's mean."""
        assert isinstance(self.model, SpatialVAE)
        found = self.model.decode_map(self.model.encode_map(x, label)[0], label)
        assert isinstance(found, Continuous)  # a recipe says so
        return self._answered(found.mean.clamp(0, 1), found.variance.sqrt().clamp_min(FLOOR))

    def _answered(self, clean: Tensor, deviation: Tensor) -> DenoiserOutputs:
        away = self.intervals(deviation)
        ends = (clean - away).clamp_min(0), (clean + away).clamp_max(1)
        return DenoiserOutputs(*(self.model.scaling.inverse(each) for each in (clean, *ends)))
