"""The ladder: levels of latents, each inferred from the observation and from the levels above it.

    p(x, z) = p(x | z) Π p(u_l | u_above)         q(z | x) = Π q(z_l | z_above, x)         u_l = mean_l + scale_l z_l

z is the levels' latents side by side, topmost first, in the units of their prior: where a ladder's p(u_l | u_above) is
the Gaussian of mean_l and scale_l, which come down from above, z_l = (u_l - mean_l) / scale_l. So p(z) = N(0, I) while
the decoder bears the hierarchy; and q, said in these units, is said relative to p. Both walk down the same network.

Source: Sønderby, Raiko, Maaløe, Sønderby and Winther, Ladder Variational Autoencoders, 2016; that q is relative to p:
Vahdat and Kautz, NVAE, 2020, section 3.2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from vae_pipeline.models.gaussian import DiagonalGaussian
from vae_pipeline.models.nets.ladder import LadderDecoder
from vae_pipeline.models.vae import VAE, Inference
from vae_pipeline.numerics.randomness import standard_normal

MOST_LOG_VARIANCE = 10.0  # of q, either way; the bound is soft


@dataclass(frozen=True)
class _Walk:
    """One way down the levels."""

    z: Tensor
    factors: DiagonalGaussian
    state: Tensor
    """The decoder's last, one row for each z."""


class LadderPosterior(Distribution):
    """q(z|x): diagonal Gaussians, each given what the levels above it drew; the last axis is the event."""

    arg_constraints = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, features: Sequence[Tensor], label: Tensor | None, heads: nn.ModuleList, decoder: LadderDecoder
    ) -> None:
        self.features, self.label, self.heads, self.decoder = features, label, heads, decoder
        self._drawn: _Walk | None = None
        super().__init__(features[0].shape[:1], torch.Size([sum(decoder.sizes)]), validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The draw whose every level is at its conditional mean, which stands for E[z]: that has no closed form."""
        return self._middle.z

    @property
    def variance(self) -> Tensor:
        """The conditional variances along that draw."""
        return self._middle.factors.variance

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """A reparameterised draw, from the top down."""
        return self.transform(standard_normal(sample_shape, self._zeros))

    def transform(self, noise: Tensor) -> Tensor:
        """The draw that `noise` of N(0, I) becomes."""
        self._drawn = self._walk(noise, DiagonalGaussian.transform)
        return self._drawn.z

    def factors(self, z: Float[Tensor, "*samples batch latents"]) -> DiagonalGaussian:
        """q(z_l | z_above, x) of every level side by side, with the levels above as they are in `z`."""
        return self._walked(z).factors

    def state(self, z: Float[Tensor, "*samples batch latents"]) -> Tensor:
        """The decoder's last state, one row for each z."""
        return self._walked(z).state

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, summed over the levels, in nats."""
        return self.factors(value).log_prob(value)

    @property
    def _zeros(self) -> Tensor:
        return self.features[0].new_zeros(self.batch_shape + self.event_shape, dtype=torch.float32)

    @cached_property
    def _middle(self) -> _Walk:
        return self._walk(self._zeros, DiagonalGaussian.transform)

    def _walked(self, z: Tensor) -> _Walk:
        """What was drawn last needs no second walk."""
        if self._drawn is not None and z is self._drawn.z:
            return self._drawn
        return self._walk(z, lambda _, given: given)

    def _walk(self, given: Tensor, draw: Callable[[DiagonalGaussian, Tensor], Tensor]) -> _Walk:
        """Down the decoder; at each level `draw` makes its latents of q and of what is given for them."""
        batch = given.shape[:-1]
        pieces = given.flatten(0, -2).split(self.decoder.sizes, 1)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []

        def spread(x: Tensor) -> Tensor:
            return x.expand(*batch, *x.shape[1:]).flatten(0, len(batch) - 1)

        def choose(index: int, state: Tensor) -> Tensor:
            mean, log_variance = self.heads[index](state, spread(self.features[index]))
            bounded = MOST_LOG_VARIANCE * torch.tanh(log_variance / MOST_LOG_VARIANCE)
            z = draw(DiagonalGaussian(mean, bounded), pieces[index])
            parts.append((z, mean, bounded))
            return z

        label = None if self.label is None else spread(self.label)
        state = self.decoder.descend(pieces[0].shape[0], label, choose)
        z, mean, log_variance = (torch.cat(part, 1).unflatten(0, batch) for part in zip(*parts, strict=True))
        return _Walk(z, DiagonalGaussian(mean, log_variance), state)


class LadderVAE(VAE):
    """A VAE whose posterior walks down its decoder; `posterior` holds the heads that it has at each level."""

    decoder: LadderDecoder
    posterior: nn.ModuleList

    def _posterior(self, scaled: Tensor, label: Tensor | None) -> LadderPosterior:
        one_hot = self._one_hot(label)
        return LadderPosterior(self.encoder(scaled, one_hot), one_hot, self.posterior, self.decoder)

    def explain(self, target: Tensor, posterior: Distribution, z: Tensor, label: Tensor | None) -> Inference:  # noqa: ARG002
        """Explain by the factors that the draws came from: they are the posterior, so the rate has a closed form."""
        assert isinstance(posterior, LadderPosterior)
        output = self.decoder.finish(posterior.state(z)).float()
        likelihood = self.likelihood(output.unflatten(0, z.shape[:-1]))
        return Inference(target, z, posterior.factors(z), self.prior(), likelihood)
