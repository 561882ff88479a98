"""Objectives: functions of one Inference and of what the rate costs; minimised, in nats, averaged over the batch."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor
from torch.distributions import Distribution

from vae_pipeline.models.gaussian import DiagonalGaussian
from vae_pipeline.models.vae import Inference, Terms
from vae_pipeline.numerics.kernels import inverse_multiquadratic as kernel
from vae_pipeline.recipe import objective as recipe
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.training.rate_control import RateControl

Objective = Callable[[Inference, RateControl], Tensor]


def build_objective(objective: recipe.Objective, examples: int) -> Objective:
    """Loss to minimise on training data of so many `examples`."""
    match objective:
        case recipe.ElboObjective():
            return elbo
        case recipe.TrimmedObjective():
            return lambda inference, control: elbo(_Likeliest.of(inference, objective.share), control)
        case recipe.ImportanceObjective():
            return doubly_reparameterised if objective.doubly_reparameterised else importance_weighted
        case recipe.DiscrepancyObjective():
            return lambda inference, control: (
                elbo(inference, control) + objective.weight * discrepancy(inference.z[0], inference.prior)
            )
        case recipe.TotalCorrelationObjective():
            return lambda inference, control: (
                elbo(inference, control) + (objective.weight - 1) * total_correlation(inference, examples)
            )
        case _:
            assert_never(objective)


def samples_of(objective: recipe.Objective) -> int:
    """The number of draws of z that an objective needs for each example."""
    return objective.samples if isinstance(objective, recipe.ImportanceObjective) else 1


def elbo(inference: Terms, control: RateControl) -> Tensor:
    """distortion + what the rate costs (the negative ELBO where that is the rate; Higgins et al., 2017, eq. 4)."""
    return inference.distortion().mean() + control.cost(inference)


@dataclass(frozen=True)
class _Likeliest:
    """The examples of a batch that are the likeliest as the model is now.

    Source: trimmed likelihood, Hadi and Luceño, 1997; of a batch for networks, Shen and Sanghavi, 2019.
    """

    whole: Inference
    rows: Tensor

    @classmethod
    def of(cls, inference: Inference, share: float) -> "_Likeliest":
        """Choose the likeliest, all but a `share` rounded down."""
        cost = (inference.distortion() + inference.rate()).detach().mean(0)
        kept = len(cost) - math.floor(share * len(cost))
        return cls(inference, cost.topk(kept, largest=False).indices)

    def distortion(self) -> Tensor:
        return self.whole.distortion()[:, self.rows]

    def rate(self) -> Tensor:
        return self.whole.rate()[:, self.rows]

    def rates(self) -> Tensor:
        return self.whole.rates()[:, self.rows]

    def level_rates(self) -> Tensor:
        return self.whole.level_rates()[:, self.rows]


def importance_weighted(inference: Inference, control: RateControl) -> Tensor:
    """-log of the mean importance weight (Burda et al., 2016, eq. 8), the rate's part taken beta times."""
    log_ratio = inference.draw.log_q() - inference.prior.log_prob(inference.z)
    log_weight = -inference.distortion() - control.beta * log_ratio
    return (math.log(len(log_weight)) - log_weight.logsumexp(0)).mean()


def doubly_reparameterised(inference: Inference, control: RateControl) -> Tensor:
    """The value of `importance_weighted`, with a gradient of less noise for the encoder.

    With weights w normalised over the samples, decoder and prior see Σ w d(log w), and the encoder, through z,
    Σ ((1 - beta) w + beta w²) d(log w).

    Source: Tucker, Lawson, Gu and Maddison, Doubly Reparameterized Gradient Estimators, 2019, eq. 8, for beta = 1. Off
    it -beta w d(log q) is what eq. 5 turns into beta (w² - w) d(log w) through z.
    """
    posterior = inference.posterior
    if not isinstance(posterior, DiagonalGaussian):
        raise RecipeError("objective.doubly_reparameterised needs a posterior of kind gaussian or normalised_gaussian")
    log_ratio = posterior.detached().log_prob(inference.z) - inference.prior.log_prob(inference.z)
    log_weight = -inference.distortion() - control.beta * log_ratio
    weight = log_weight.detach().softmax(0)
    if inference.z.requires_grad:
        share = (1 - control.beta) + control.beta * weight  # `log_weight` brings w itself
        inference.z.register_hook(lambda gradient: gradient * share.unsqueeze(-1))
    value = (math.log(len(log_weight)) - log_weight.detach().logsumexp(0)).mean()
    surrogate = -(weight * log_weight).sum(0).mean()
    return surrogate + (value - surrogate).detach()


def discrepancy(z: Tensor, prior: Distribution) -> Tensor:
    """MMD² between z [batch, latents] and as many draws of the prior, by inverse multiquadratic kernels; unbiased.

    Source: Tolstikhin, Bousquet, Gelly and Schölkopf, Wasserstein Auto-Encoders, 2018, section 4.
    """
    count = len(z)
    drawn = prior.sample(torch.Size([count]))
    if count < 2:
        return z.sum() * 0

    def between_others(matrix: Tensor) -> Tensor:
        return (matrix.sum() - matrix.diagonal().sum()) / (count * (count - 1))

    within = between_others(kernel(z, z)) + between_others(kernel(drawn, drawn))
    return within - 2 * kernel(z, drawn).mean()


def total_correlation(inference: Inference, examples: int) -> Tensor:
    """KL(q(z) ‖ Π q(z_j)), with q(z) estimated from the batch by weighting it as a sample of all `examples`.

    The value is too high by about (latents - 1) log(examples); its gradient isn't touched by that.

    Source: Chen, Li, Grosse and Duvenaud, Isolating Sources of Disentanglement in VAEs, 2018, appendix C.1.
    """
    q, z = inference.posterior, inference.z[0]
    if not isinstance(q, DiagonalGaussian):
        raise RecipeError("objective.kind total_correlation needs a posterior of kind gaussian or normalised_gaussian")
    away = z[:, None] - q.mean
    each = -0.5 * (away.square() * (-q.log_variance).exp() + q.log_variance + math.log(2 * math.pi))
    constant = math.log(len(z) * examples)
    joint = each.sum(-1).logsumexp(1) - constant
    marginals = (each.logsumexp(1) - constant).sum(-1)
    return (joint - marginals).mean()
