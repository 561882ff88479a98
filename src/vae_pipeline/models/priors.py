"""Priors p(z). Each is called with the encoder's way from scaled observations to q(z|x), which VampPrior needs."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from vae_pipeline.models.codes import UniformCodes
from vae_pipeline.models.gaussian import DiagonalGaussian, StandardNormal
from vae_pipeline.models.mixture import GaussianMixture
from vae_pipeline.models.samplers import CodesSampler, MixtureSampler, Sampler, StandardNormalSampler

Infer = Callable[[Tensor], Distribution]


class StandardNormalPrior(nn.Module):
    """N(0, I): no parameters."""

    zero: Tensor

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.latents = latents
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, infer: Infer) -> StandardNormal:  # noqa: ARG002 (every prior is asked the same)
        """p(z)."""
        return StandardNormal(self.latents, like=self.zero)

    def sampler(self, infer: Infer) -> Sampler:  # noqa: ARG002
        """Draws of p(z) from noise."""
        return StandardNormalSampler(self.latents)


class UniformPrior(nn.Module):
    """The same probability for each code of so many levels: no parameters."""

    levels: Tensor

    def __init__(self, levels: Float[Tensor, " latents"]) -> None:
        super().__init__()
        self.latents = len(levels)
        self.register_buffer("levels", levels, persistent=False)

    def forward(self, infer: Infer) -> UniformCodes:  # noqa: ARG002
        """p(z)."""
        return UniformCodes(self.levels)

    def sampler(self, infer: Infer) -> Sampler:  # noqa: ARG002
        """Draws of p(z) from noise."""
        return CodesSampler(self.levels)


class MixturePrior(nn.Module):
    """A mixture of diagonal Gaussians whose weights, means and variances are learned."""

    def __init__(self, latents: int, components: int) -> None:
        super().__init__()
        self.latents = latents
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, latents))
        self.log_variances = nn.Parameter(torch.zeros(components, latents))

    def forward(self, infer: Infer) -> GaussianMixture:  # noqa: ARG002
        """p(z)."""
        return GaussianMixture(self.logits.log_softmax(0), self.means, self.log_variances)

    def sampler(self, infer: Infer) -> MixtureSampler:
        """Draws of p(z) from noise."""
        return _mixture_sampler(self(infer))


class VampPrior(nn.Module):
    """The mixture of q(z|u) over pseudo-inputs u, which are learned.

    Source: Tomczak and Welling, VAE with a VampPrior, 2018, eq. 9.
    """

    def __init__(self, latents: int, components: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.latents = latents
        self.logits = nn.Parameter(torch.zeros(components))
        # Through a sigmoid; they start as dim noise, from which the encoder gives means that differ.
        self.pseudo_inputs = nn.Parameter(torch.randn(components, *shape) - 2)

    def forward(self, infer: Infer) -> GaussianMixture:
        """p(z)."""
        q = infer(self.pseudo_inputs.sigmoid())
        assert isinstance(q, DiagonalGaussian)  # a recipe says so
        return GaussianMixture(self.logits.log_softmax(0), q.mean, q.log_variance)

    def sampler(self, infer: Infer) -> MixtureSampler:
        """Draws of p(z) from noise."""
        return _mixture_sampler(self(infer))

    @torch.no_grad()
    def frozen(self, infer: Infer) -> MixturePrior:
        """An equal distribution that needs no encoder."""
        mixture = self(infer)
        frozen = MixturePrior(self.latents, len(self.logits))
        frozen.logits.copy_(self.logits)
        frozen.means.copy_(mixture.means)
        frozen.log_variances.copy_(mixture.log_variances)
        return frozen


def _mixture_sampler(prior: GaussianMixture) -> MixtureSampler:
    scale = (0.5 * prior.log_variances).exp()
    return MixtureSampler(prior.log_weight.exp().detach(), prior.means.detach(), torch.diag_embed(scale).detach())


Prior = StandardNormalPrior | MixturePrior | VampPrior
