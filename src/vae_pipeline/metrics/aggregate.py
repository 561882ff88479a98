"""The aggregate posterior q(z) = 1/N Σ_n q(z|x_n) of a set of examples, and what the rate is made of.

    rate = I(x; z) + KL(q(z) ‖ p(z)) = I(x; z) + total correlation + dimension-wise KL

Source: Hoffman and Johnson, ELBO Surgery, 2016; Chen, Li, Grosse and Duvenaud, Isolating Sources of Disentanglement
in VAEs, 2018, eq. 2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.bounds import PerExample, evaluating
from vae_pipeline.metrics.mixtures import chosen_mixture, posterior_draws, without_a_tenth
from vae_pipeline.metrics.parts import batches, subset
from vae_pipeline.models.gaussian import DiagonalGaussian, StandardNormal
from vae_pipeline.models.vae import VAE
from vae_pipeline.numerics.randomness import derive, seeded

EXAMPLES, FEWER = 10_000, 500  # every draw is held against every posterior; FEWER of a map, or of no diagonal Gaussian
ROWS = 128  # draws at a time, whose densities under a batch of posteriors stay in a CPU's cache
PAIRED = 2**22  # numbers that the pairs of other posteriors may need at a time
CLEAR = 1.0  # nats that information stays under its cap where what is left of the rate says something
FITTED, FEWEST = 4_000, 50  # draws that a density is fitted to; of fewer examples none is
LEAST = -80.0  # exp of less is no normal float32, over which a CPU takes 100 times as long


@dataclass(frozen=True)
class Aggregate:
    """q(z) against p(z), in nats, averaged over one z an example.

    Information is seen up to log N. Near it q(z) is no more than the points of these examples, and what is left of the
    rate says how few they are: such figures are None, and `lower_bound` alone is known.
    """

    z: npt.NDArray[Any]
    """[examples, latents]: a draw of each q(z|x_n), and so of q(z)."""
    mutual_information: float
    """E[log q(z|x) - log q(z)], which can't come to more than `cap`."""
    aggregate_kl: float | None
    """KL(q(z) ‖ p(z)) = rate - mutual information."""
    total_correlation: float | None
    """KL(q(z) ‖ Π q(z_l)); of diagonal Gaussians and a standard normal prior alone."""
    dimensionwise_kl: float | None
    """Σ_l KL(q(z_l) ‖ p(z_l)), of the same."""

    @property
    def cap(self) -> float:
        """log N: with as many examples no more information can be seen."""
        return math.log(len(self.z))


@torch.inference_mode()
def aggregate(model: VAE, split: Split, seed: int, device: torch.device) -> Aggregate:
    """The aggregate posterior of `split`, or of as many of its examples as `EXAMPLES` allows."""
    with seeded(derive(seed, "aggregate")), evaluating(model):
        prior = model.prior()
        one = next(batches(split, device, "the aggregate posterior", rows=1))
        quick = not model.is_map and isinstance(model.encode(one.x, one.label), DiagonalGaussian)
        most = EXAMPLES if quick else FEWER
        posteriors, drawn, rates, own = [], [], [], []
        for rows in batches(subset(split, most, seed), device, "the aggregate posterior"):
            posterior = model.encode(rows.x, rows.label)
            draw = posterior.drawn(torch.Size([1]))
            posteriors.append(posterior)
            drawn.append(draw.z[0])
            rates.append(model.explain(model.scaling(rows.explained), draw, rows.label).rate()[0])
            own.append(draw.log_q()[0])
        z, rate = torch.cat(drawn), _mean(torch.cat(rates))
        joint, marginals = _log_densities(z, posteriors if quick else _as_one(posteriors))
    cap = math.log(len(z))
    information = min(_mean(torch.cat(own) - joint), cap)
    correlation = apart = None
    if marginals is not None and isinstance(prior, StandardNormal):
        diagonal = (q for q in posteriors if isinstance(q, DiagonalGaussian))  # all of them
        by_latent = torch.cat([q.log_prob_per_dimension(some) for q, some in zip(diagonal, drawn, strict=True)])
        correlation = _mean(joint - marginals.sum(1))
        if _mean((by_latent - marginals).mean(0).max()) < cap - CLEAR:
            apart = rate - information - correlation
    known = information < cap - CLEAR
    return Aggregate(
        z.cpu().numpy(),
        information,
        rate - information if known else None,
        correlation if known else None,
        apart,
    )


@torch.inference_mode()
def lower_bound(model: VAE, train: Split, test: Split, seed: int) -> PerExample | None:
    """log f(z) - log p(z) at a z of each test example, by a mixture f that was fitted to training examples.

    Its mean is at most KL(q(z) ‖ p(z)) of all examples that there might be, since no density is likelier on average
    than q's own (Gibbs' inequality). None of too few examples, and of a map, whose covariance has too many numbers.
    """
    if model.is_map or min(len(train), len(test)) < FEWEST:
        return None
    known, judging = (posterior_draws(model, part, seed, FITTED) for part in without_a_tenth(train, FITTED, seed))
    z = posterior_draws(model, test, seed, min(len(test), EXAMPLES))  # one each
    with evaluating(model):
        prior = model.prior().log_prob(torch.from_numpy(z).to(next(model.parameters()).device)).cpu().double().numpy()
    return np.asarray(chosen_mixture(known, judging, seed).score_samples(z) - prior)


def _mean(values: Tensor) -> float:
    return float(values.cpu().double().mean())


def _as_one(posteriors: Sequence[Distribution]) -> Sequence[Distribution]:
    """Diagonal Gaussians in one batch: of maps a batch has few, and each batch is gone through latent by latent."""
    diagonal = [q for q in posteriors if isinstance(q, DiagonalGaussian)]
    if len(diagonal) < len(posteriors):
        return posteriors
    return [DiagonalGaussian(torch.cat([q.mean for q in diagonal]), torch.cat([q.log_variance for q in diagonal]))]


def _log_densities(
    z: Float[Tensor, "draws latents"], posteriors: Sequence[Distribution]
) -> tuple[Float[Tensor, " draws"], Float[Tensor, "draws latents"] | None]:
    """log q(z) of each draw and, where posteriors are diagonal Gaussians, log q(z_l)."""
    joint = torch.full_like(z[:, 0], -math.inf)
    marginals = torch.zeros_like(z)
    for q in posteriors:
        if isinstance(q, DiagonalGaussian):
            more = _add_diagonal(z, q, marginals)
        else:
            count = q.batch_shape[0]
            rows = z.split(max(1, PAIRED // (count * z.shape[1] ** 2)))
            pairs = (q.log_prob(some[:, None].expand(-1, count, -1)) for some in rows)
            more = torch.cat([each.logsumexp(1) for each in pairs])
        joint = torch.logaddexp(joint, more)
    log_n = math.log(len(z))
    diagonal = isinstance(posteriors[0], DiagonalGaussian)
    return joint - log_n, marginals.log() - log_n if diagonal else None


def _add_diagonal(
    z: Float[Tensor, "draws latents"], q: DiagonalGaussian, marginals: Float[Tensor, "draws latents"]
) -> Float[Tensor, " draws"]:
    """log Σ_n q(z|x_n) of each draw; Σ_n q(z_l|x_n) is added to `marginals`."""
    mean, precision = q.mean.mT.contiguous(), (-q.log_variance.mT).exp()
    constant = -0.5 * (q.log_variance.mT + math.log(2 * math.pi))
    joint = []
    for rows, sums in zip(z.split(ROWS), marginals.split(ROWS), strict=True):
        pairs = torch.zeros(len(rows), len(q.mean), dtype=z.dtype, device=z.device)
        for latent in range(z.shape[1]):
            each = (rows[:, latent, None] - mean[latent]).square_()
            each = torch.addcmul(constant[latent], each, precision[latent], value=-0.5)
            pairs += each
            sums[:, latent] += each.clamp_min_(LEAST).exp_().sum(1)
        most = pairs.amax(1, keepdim=True)
        joint.append(most[:, 0] + (pairs - most).clamp_min_(LEAST).exp_().sum(1).log())
    return torch.cat(joint)
