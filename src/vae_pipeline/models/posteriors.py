"""Posteriors q(z|x): features to a distribution over latents, which `transform` draws from given noise."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.codes import CodePosterior, bounded, rounded
from vae_pipeline.models.flow import FlowGaussian
from vae_pipeline.models.gaussian import DiagonalGaussian, FullGaussian
from vae_pipeline.models.nets.coupling import CouplingFlow

# exp(10) and exp(-14) bound the variance: beyond them a step has gone astray, and exp would overflow.
LOG_VARIANCE = (-14.0, 10.0)
# Those of a map are diffusers': autoencoders that are trained with next to no rate are surer of a latent than exp(-14).
MAP_LOG_VARIANCE = (-30.0, 20.0)


class GaussianPosterior(nn.Module):
    """Diagonal Gaussian with mean and log-variance linear in the features (Kingma and Welling, 2014)."""

    def __init__(self, features: int, latents: int) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latents)
        self.log_variance = nn.Linear(features, latents)
        for layer in (self.mean, self.log_variance):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.latents = latents

    def forward(self, features: Float[Tensor, "batch features"]) -> DiagonalGaussian:
        """q(z|x)."""
        mean, log_variance = self.mean(features).float(), self.log_variance(features).float()
        return DiagonalGaussian(mean, nn.functional.hardtanh(log_variance, *LOG_VARIANCE))


class SpatialGaussianPosterior(nn.Module):
    """Diagonal Gaussian over the places of a map, by one convolution of the features around each, or of so many to a
    side (`kernel`); `pointwise`: by another one, of each place alone, after it."""

    def __init__(self, features: int, channels: int, pointwise: bool = False, kernel: int = 3) -> None:
        super().__init__()
        self.moments = nn.Conv2d(features, 2 * channels, kernel, padding=kernel // 2)
        self.mixed = nn.Conv2d(2 * channels, 2 * channels, 1) if pointwise else nn.Identity()

    def forward(self, features: Float[Tensor, "batch features rows columns"]) -> DiagonalGaussian:
        """q(z|x) of the flat map."""
        mean, log_variance = self.map(features)
        return DiagonalGaussian(mean.flatten(1), log_variance.flatten(1))

    def map(
        self, features: Float[Tensor, "batch features rows columns"]
    ) -> tuple[Float[Tensor, "batch channels rows columns"], Float[Tensor, "batch channels rows columns"]]:
        """Its mean and log-variance, as maps."""
        mean, log_variance = self.mixed(self.moments(features)).float().chunk(2, 1)
        return mean, nn.functional.hardtanh(log_variance, *MAP_LOG_VARIANCE)


class FramesPosterior(SpatialGaussianPosterior):
    """Diagonal Gaussian over the frames of a map, whose mean begins with the last features, one for each channel."""

    def __init__(self, features: int, channels: int, pointwise: bool) -> None:
        super().__init__(features, channels, pointwise, kernel=1)
        self.channels = channels

    def map(
        self, features: Float[Tensor, "batch features 1 frames"]
    ) -> tuple[Float[Tensor, "batch channels 1 frames"], Float[Tensor, "batch channels 1 frames"]]:
        """Its mean and log-variance, as maps."""
        mean, log_variance = super().map(features[:, : -self.channels])
        return features[:, -self.channels :].float() + mean, log_variance


class FiniteScalarPosterior(nn.Module):
    """One code at each place of a map, by one convolution of the features around it (`models.codes`)."""

    levels: Tensor
    """[channels, 1, 1]."""

    def __init__(self, features: int, levels: Sequence[int]) -> None:
        super().__init__()
        self.numbers = nn.Conv2d(features, len(levels), 3, padding=1)
        self.register_buffer("levels", torch.tensor(levels).float()[:, None, None], persistent=False)

    def forward(self, features: Float[Tensor, "batch features rows columns"]) -> CodePosterior:
        """q(z|x) of the flat map."""
        code, _ = self.map(features)
        return CodePosterior(code.flatten(1))

    def map(
        self, features: Float[Tensor, "batch features rows columns"]
    ) -> tuple[Float[Tensor, "batch channels rows columns"], Float[Tensor, "batch channels rows columns"]]:
        """The code, and what stands for its log-variance, as maps."""
        code = CodePosterior(rounded(self.within(features), self.levels))
        return code.mean, code.log_variance

    def within(
        self, features: Float[Tensor, "batch features rows columns"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """The numbers that are rounded."""
        return bounded(self.numbers(features).float(), self.levels)


class NormalisedPosterior(GaussianPosterior):
    """A posterior whose means have the standard deviation `spread` over each batch: rate >= latents * spread² / 2.

    Source: Zhu, Bi, Liu, Ma, Li and Wu, A Batch Normalized Inference Network Keeps the KL Vanishing Away, 2020.
    """

    average: Tensor
    variance: Tensor

    def __init__(self, features: int, latents: int, spread: float) -> None:
        super().__init__(features, latents)
        self.spread = spread
        self.shift = nn.Parameter(torch.zeros(latents))
        self.register_buffer("average", torch.zeros(latents))
        self.register_buffer("variance", torch.ones(latents))

    def forward(self, features: Float[Tensor, "batch features"]) -> DiagonalGaussian:
        """q(z|x)."""
        q = super().forward(features)
        mean = nn.functional.batch_norm(
            q.mean,
            self.average,
            self.variance,
            weight=torch.full_like(self.shift, self.spread),
            bias=self.shift,
            training=self.training and len(features) > 1,
            eps=1e-9,  # small, or means that shrink would escape
        )
        return DiagonalGaussian(mean, q.log_variance)


class FullPosterior(GaussianPosterior):
    """Gaussian whose mean, variances and correlations are linear in the features."""

    below: Tensor
    unit: Tensor

    def __init__(self, features: int, latents: int) -> None:
        super().__init__(features, latents)
        self.correlation = nn.Linear(features, latents * latents)
        nn.init.zeros_(self.correlation.weight)
        nn.init.zeros_(self.correlation.bias)
        self.register_buffer("below", torch.ones(latents, latents).tril(-1), persistent=False)
        self.register_buffer("unit", torch.eye(latents), persistent=False)

    def forward(self, features: Float[Tensor, "batch features"]) -> FullGaussian:  # type: ignore[override]
        """q(z|x)."""
        q = super().forward(features)
        entries = self.correlation(features).float().unflatten(-1, self.below.shape) * self.below
        # Each row is stretched by its dimension's scale, so that the correlations don't depend on the units.
        scale_tril = (entries + self.unit) * (0.5 * q.log_variance).exp().unsqueeze(-1)
        return FullGaussian(q.mean, scale_tril)


class FlowPosterior(nn.Module):
    """A diagonal Gaussian through coupling layers that see the features."""

    def __init__(self, features: int, latents: int, layers: int, width: int) -> None:
        super().__init__()
        self.base = GaussianPosterior(features, latents)
        self.flow = CouplingFlow(latents, layers, width, context=features)
        self.latents = latents

    def forward(self, features: Float[Tensor, "batch features"]) -> FlowGaussian:
        """q(z|x)."""
        return FlowGaussian(self.base(features), self.flow, features)
