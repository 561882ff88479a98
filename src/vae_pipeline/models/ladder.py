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

from vae_pipeline.models.draw import Draw, Posterior
from vae_pipeline.models.gaussian import DiagonalGaussian, rate_per_dimension
from vae_pipeline.models.ladder_prior import TopAndRest
from vae_pipeline.models.nets.ladder import LadderDecoder
from vae_pipeline.models.vae import VAE, Inference, repeated

MOST_LOG_VARIANCE = 10.0  # of q, either way; the bound is soft


class LadderPosterior(Posterior):
    """q(z|x): diagonal Gaussians, each given what the levels above it drew; the last axis is the event."""

    def __init__(
        self, features: Sequence[Tensor], label: Tensor | None, heads: nn.ModuleList, decoder: LadderDecoder
    ) -> None:
        self.features, self.label, self.heads, self.decoder = features, label, heads, decoder
        super().__init__(features[0].shape[:1], torch.Size([sum(decoder.sizes)]), validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The draw whose every level is at its conditional mean, which stands for E[z]: that has no closed form."""
        return self._middle.z

    @property
    def variance(self) -> Tensor:
        """The conditional variances along that draw."""
        return self._middle.posterior.variance

    @property
    def like(self) -> Tensor:
        """Zeros."""
        return self.features[0].new_zeros(self.batch_shape + self.event_shape, dtype=torch.float32)

    def draw(self, noise: Float[Tensor, "*samples batch latents"]) -> Draw:
        """The draw that `noise` of N(0, I) becomes, from the top down."""
        return self._walk(noise, DiagonalGaussian.transform)

    def at(self, z: Float[Tensor, "*samples batch latents"]) -> Draw:
        """The draw that came out as `z`."""
        return self._walk(z, lambda _, given: given)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density, summed over the levels, in nats."""
        return self.at(value).log_q()

    @property
    def top(self) -> DiagonalGaussian:
        """q of the topmost level, over which nothing is drawn."""
        features = self.features[0]
        return self._given(0, self.decoder.begun(features.shape[0], self.label), features)

    def _given(self, index: int, state: Tensor, features: Tensor) -> DiagonalGaussian:
        """q of one level, given the state above it."""
        mean, log_variance = self.heads[index](state, features)
        return DiagonalGaussian(mean, MOST_LOG_VARIANCE * torch.tanh(log_variance / MOST_LOG_VARIANCE))

    @cached_property
    def _middle(self) -> Draw:
        return self.draw(self.like)

    def _walk(self, given: Tensor, draw: Callable[[DiagonalGaussian, Tensor], Tensor]) -> Draw:
        """Down the decoder; at each level `draw` makes its latents of q and of what is given for them."""
        batch = given.shape[:-1]
        pieces = given.flatten(0, -2).split(self.decoder.sizes, 1)
        parts: list[tuple[Tensor, Tensor, Tensor]] = []

        def choose(index: int, state: Tensor) -> Tensor:
            q = self._given(index, state, repeated(self.features[index], batch))
            z = draw(q, pieces[index])
            parts.append((z, q.mean, q.log_variance))
            return z

        label = None if self.label is None else repeated(self.label, batch)
        state = self.decoder.descend(pieces[0].shape[0], label, choose)
        z, mean, log_variance = (torch.cat(part, 1).unflatten(0, batch) for part in zip(*parts, strict=True))
        factors = DiagonalGaussian(mean, log_variance)
        return Draw(z, factors, lambda: factors.log_prob(z), state)


@dataclass(frozen=True)
class LadderInference(Inference):
    """One pass through a ladder, whose rate has a part of each level."""

    levels: tuple[int, ...] = ()
    """The numbers of latents of the levels, topmost first."""

    def rates(self) -> Float[Tensor, "samples batch parts"]:
        """The rate of each dimension; of a topmost level with a learned prior, its one-sample estimate in one part."""
        if not isinstance(self.prior, TopAndRest):
            return super().rates()
        assert isinstance(self.posterior, DiagonalGaussian)
        q, first = self.posterior, self.prior.first
        top = DiagonalGaussian(q.mean[..., :first], q.log_variance[..., :first])
        rest = DiagonalGaussian(q.mean[..., first:], q.log_variance[..., first:])
        z = self.z[..., :first]
        estimate = top.log_prob(z) - self.prior.top.log_prob(z)
        return torch.cat([estimate.unsqueeze(-1), rate_per_dimension(rest, self.prior.rest)], -1)

    def level_rates(self) -> Float[Tensor, "samples batch levels"]:
        """The rate of each level, topmost first."""
        learned = isinstance(self.prior, TopAndRest)
        parts = (1, *self.levels[1:]) if learned else self.levels
        return torch.stack([part.sum(-1) for part in self.rates().split(parts, -1)], -1)

    @cached_property
    def _rate(self) -> Tensor:
        return self.rates().sum(-1) if isinstance(self.prior, TopAndRest) else super()._rate


class LadderVAE(VAE):
    """A VAE whose posterior walks down its decoder; `posterior` holds the heads that it has at each level."""

    decoder: LadderDecoder
    posterior: nn.ModuleList

    @property
    def levels(self) -> tuple[int, ...]:
        """The numbers of latents of the levels, topmost first."""
        return tuple(self.decoder.sizes)

    def _posterior(self, scaled: Tensor, label: Tensor | None) -> LadderPosterior:
        one_hot = self.one_hot(label)
        return LadderPosterior(self.encoder(scaled, one_hot), one_hot, self.posterior, self.decoder)

    def explain(self, target: Tensor, draw: Draw, label: Tensor | None) -> Inference:  # noqa: ARG002
        """Explain by the walk that drew z; q given the levels above is the posterior, so the rate has a closed form."""
        assert draw.state is not None
        output = self.decoder.finish(draw.state).float().unflatten(0, draw.z.shape[:-1])
        return LadderInference(target, draw, self.prior(), self.likelihood(output), output, self.levels)
