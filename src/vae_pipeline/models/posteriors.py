"""Posteriors q(z|x): features to a distribution over latents."""

from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.gaussian import DiagonalGaussian

# exp(10) and exp(-14) bound the variance: beyond them a step has gone astray, and exp would overflow.
LOG_VARIANCE = (-14.0, 10.0)


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
