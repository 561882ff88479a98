"""The use of the latents, by one pass through the encoder: cheap enough for the end of every epoch."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import evaluating, widest
from vae_pipeline.metrics.codebook import codebook_use
from vae_pipeline.metrics.latents import ACTIVE, diagonal
from vae_pipeline.metrics.parts import at_once, read
from vae_pipeline.models.gaussian import DiagonalGaussian
from vae_pipeline.models.mixture import GaussianMixture
from vae_pipeline.models.spatial import QuantisedVAE
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded

ROWS = 1024  # examples at a time
PAIRED = 256  # examples that are held against each other where z is a map


@dataclass(frozen=True)
class Usage:
    """The use that some examples make of the latents."""

    active_units: int
    """Dimensions whose mean varies over x by more than 0.01 (Burda et al., 2016, section 5.2)."""
    mutual_information: float
    """Information of z on the example that it belongs to, in nats: I(x; z), at most the log of the examples' number.

    Of a map of latents, that of 256 examples at most."""
    posterior_variance: float | None
    """The variance of active dimensions, averaged over them and the examples; None where there are none, and of codes,
    which have none."""
    codebook_use: float | None = None
    """The share of the codebook that occurs (`metrics.codebook`), of a model that has one."""


@torch.inference_mode()
def usage(model: VAE, split: Split, seed: int, device: torch.device, most: int | None = None) -> Usage:
    """Encode all examples, or `most` of them at even distances; the same draws for the same seed."""
    count = len(split) if most is None else min(len(split), most)
    chosen = np.arange(count) * len(split) // count
    parts = []
    with evaluating(model):
        rows = at_once(split, ROWS)
        for start in range(0, count, rows):
            some = read(split, chosen[start : start + rows], device)
            q = diagonal(model.encode(some.x, some.label))
            parts.append(torch.stack([q.mean, q.log_variance]))
    mean, log_variance = torch.cat(parts, 1).to(widest(device))
    active = mean.var(0, correction=0) > ACTIVE
    with seeded(derive(seed, "usage")):
        step = -(-count // PAIRED) if model.is_map else 1
        information = mutual_information(DiagonalGaussian(mean[::step], log_variance[::step]))
    codebook = codebook_use(model, mean.cpu().numpy()) if isinstance(model, QuantisedVAE) else None
    return Usage(
        active_units=int(active.sum()),
        mutual_information=information.item(),
        posterior_variance=log_variance[:, active].exp().mean().item() if active.any() and codebook is None else None,
        codebook_use=None if codebook is None else codebook.share,
    )


def mutual_information(q: DiagonalGaussian) -> Tensor:
    """E log q(z|x_i) / (1/N Σ_j q(z|x_j)) over the N posteriors of `q`, one draw of z each.

    Source: Hoffman and Johnson, ELBO Surgery, 2016, section 2.
    """
    z, count = q.rsample(), len(q.mean)
    every = GaussianMixture(q.mean.new_full((count,), -math.log(count)), q.mean, q.log_variance)
    aggregate = torch.cat([every.log_prob(rows) for rows in z.split(ROWS)])
    return (q.log_prob(z) - aggregate).mean()
