"""The use of each latent dimension."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import evaluating
from vae_pipeline.metrics.parts import batches
from vae_pipeline.models.codes import CodePosterior, UniformCodes
from vae_pipeline.models.draw import Posterior
from vae_pipeline.models.gaussian import DiagonalGaussian, rate_per_dimension
from vae_pipeline.models.vae import VAE

ACTIVE = 0.01
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Latents:
    """The posterior of every example of a set."""

    mean: Array
    """[examples, latents]."""
    rate: Array
    """KL(q(z|x) ‖ p(z)) a dimension, averaged over the set, in nats; by mean and variance where either isn't a
    diagonal Gaussian."""

    @property
    def variance_of_means(self) -> Array:
        """Var_x(E_q[z|x]) of each dimension."""
        return np.asarray(self.mean.var(axis=0))

    @property
    def active_units(self) -> int:
        """Dimensions whose mean varies over x by more than 0.01 (Burda et al., 2016, section 5.2)."""
        return int((self.variance_of_means > ACTIVE).sum())


@torch.inference_mode()
def latents(model: VAE, split: Split, device: torch.device) -> Latents:
    """Encode every example."""
    means, rates = [], []
    with evaluating(model):
        prior = model.prior()
        for rows in batches(split, device, "latents"):
            posterior = model.encode(rows.x, rows.label)
            means.append(posterior.mean.cpu().double().numpy())
            rates.append(_rates(posterior, prior).cpu().double().numpy().sum(axis=0))
    return Latents(np.concatenate(means), np.sum(rates, axis=0) / len(split))


def _rates(posterior: Posterior, prior: Distribution) -> Float[Tensor, "batch latents"]:
    if isinstance(prior, UniformCodes):
        return prior.rates.expand(posterior.mean.shape)
    return rate_per_dimension(diagonal(posterior), diagonal(prior))


def diagonal(distribution: Distribution) -> DiagonalGaussian:
    """The diagonal Gaussian of the same means and variances; at a point's code, one that is next to a point."""
    if isinstance(distribution, DiagonalGaussian):
        return distribution
    if isinstance(distribution, CodePosterior):
        return DiagonalGaussian(distribution.mean, distribution.log_variance)
    return DiagonalGaussian(distribution.mean, distribution.variance.log())
