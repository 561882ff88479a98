"""Independent Gaussian variables."""

import math

from torch import Tensor
from torch.distributions import Normal

from vae_pipeline.models.likelihoods.location_scale import LEAST_LOG_SCALE, ContinuousLikelihood
from vae_pipeline.models.likelihoods.values import Values, total


class GaussianLikelihood(ContinuousLikelihood):
    """N(mean, scale²) of each value."""

    def real(self, mean: Tensor, scale: Tensor) -> Normal:
        """The distribution of each value."""
        return Normal(mean, scale, validate_args=False)

    def likeliest(self, away: Tensor) -> Tensor:
        """The log of the root mean square."""
        return 0.5 * away.square().mean().log()

    def independent(self, train: Values, test: Values) -> float:
        """The baseline is the mean of each value, and the root mean square distance from it over all of them."""
        location = total(train) / train.count

        def away(part: Values) -> float:
            """Σ (x - location)² over values, averaged over examples."""
            return float(total((x - location) ** 2 for x in part).sum()) / part.count

        likeliest = math.pow(away(train) / location.size, 0.5)
        scale = max(likeliest, math.exp(LEAST_LOG_SCALE)) if self.fixed is None else self.fixed
        return -away(test) / (2 * scale**2) - location.size * (math.log(scale) + 0.5 * math.log(2 * math.pi))
