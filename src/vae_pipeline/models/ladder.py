"""The ladder: levels of latents, each inferred from the observation and from the levels above it.

    p(x, z) = p(x | z) Π p(u_l | u_above)         q(z | x) = Π q(z_l | z_above, x)         u_l = mean_l + scale_l z_l

z is the levels' latents side by side, topmost first, in the units of their prior: where a ladder's p(u_l | u_above) is
the Gaussian of mean_l and scale_l, which come down from above, z_l = (u_l - mean_l) / scale_l. So p(z) = N(0, I) while
the decoder bears the hierarchy; and q, said in these units, is said relative to p. Both walk down the same network.

Source: Sønderby, Raiko, Maaløe, Sønderby and Winther, Ladder Variational Autoencoders, 2016; that q is relative to p:
Vahdat and Kautz, NVAE, 2020, section 3.2.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vae_pipeline.models.draw import Draw, Posterior
from vae_pipeline.models.gaussian import DiagonalGaussian
from vae_pipeline.models.nets.ladder import LadderDecoder
from vae_pipeline.models.vae import VAE, Inference

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

    @cached_property
    def _middle(self) -> Draw:
        return self.draw(self.like)

    def _walk(self, given: Tensor, draw: Callable[[DiagonalGaussian, Tensor], Tensor]) -> Draw:
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
        factors = DiagonalGaussian(mean, log_variance)
        return Draw(z, factors, lambda: factors.log_prob(z), state)


class LadderVAE(VAE):
    """A VAE whose posterior walks down its decoder; `posterior` holds the heads that it has at each level."""

    decoder: LadderDecoder
    posterior: nn.ModuleList

    def _posterior(self, scaled: Tensor, label: Tensor | None) -> LadderPosterior:
        one_hot = self._one_hot(label)
        return LadderPosterior(self.encoder(scaled, one_hot), one_hot, self.posterior, self.decoder)

    def explain(self, target: Tensor, draw: Draw, label: Tensor | None) -> Inference:  # noqa: ARG002
        """Explain by the walk that drew z; q given the levels above is the posterior, so the rate has a closed form."""
        assert draw.state is not None
        output = self.decoder.finish(draw.state).float().unflatten(0, draw.z.shape[:-1])
        return Inference(target, draw, self.prior(), self.likelihood(output), output)
