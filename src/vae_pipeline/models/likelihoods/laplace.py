"""Independent Laplace variables."""

import math

import numpy as np
from torch import Tensor
from torch.distributions import Laplace

from vae_pipeline.models.likelihoods.location_scale import LEAST_LOG_SCALE, ContinuousLikelihood
from vae_pipeline.models.likelihoods.values import Values, total


class LaplaceLikelihood(ContinuousLikelihood):
    """exp(-|x - mean| / scale) / (2 scale) of each value."""

    def real(self, mean: Tensor, scale: Tensor) -> Laplace:
        """The distribution of each value."""
        return Laplace(mean, scale, validate_args=False)

    def likeliest(self, away: Tensor) -> Tensor:
        """The log of the mean distance."""
        return away.abs().mean().log()

    def independent(self, train: Values, test: Values) -> float:
        """The baseline is the median of each value, and the mean distance from it over all of them."""
        location = np.median(train.some(), axis=0)

        def away(part: Values) -> float:
            """Σ |x - location| over values, averaged over examples."""
            return float(total(np.abs(x - location) for x in part).sum()) / part.count

        likeliest = away(train) / location.size
        scale = max(likeliest, math.exp(LEAST_LOG_SCALE)) if self.fixed is None else self.fixed
        return -away(test) / scale - location.size * (math.log(scale) + math.log(2))
