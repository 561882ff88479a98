"""VAE and Inference: the two nouns that everything above is written in.

    x ── encoder ── q(z|x) ──> z ── decoder ── p(x|z)          distortion = -log p(x|z)
                      └────── p(z) ──────┘                     rate       = KL(q(z|x) ‖ p(z))

Source: Kingma and Welling, Auto-Encoding Variational Bayes, 2014.
"""

import copy
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.distributions import Distribution, kl_divergence

from vae_pipeline.models.codes import UniformCodes
from vae_pipeline.models.draw import Draw, Posterior
from vae_pipeline.models.gaussian import DiagonalGaussian, rate_per_dimension
from vae_pipeline.models.ladder_prior import LadderPrior
from vae_pipeline.models.likelihoods import Likelihood, ObservedDistribution
from vae_pipeline.models.priors import Prior, UniformPrior, VampPrior
from vae_pipeline.models.samplers import ClassesSampler, Sampler
from vae_pipeline.models.scaling import AnyScaling


@runtime_checkable
class Terms(Protocol):
    """The parts of a bound, nats an example."""

    def distortion(self) -> Float[Tensor, "samples batch"]:
        """-log p(x|z)."""
        ...

    def rate(self) -> Float[Tensor, "samples batch"]:
        """KL(q(z|x) ‖ p(z))."""
        ...

    def rates(self) -> Float[Tensor, "samples batch parts"]:
        """The rate's parts."""
        ...

    def level_rates(self) -> Float[Tensor, "samples batch levels"]:
        """The rate of each level."""
        ...


@dataclass(frozen=True)
class Inference:
    """One pass through a VAE; everything in nats an example, summed over the event."""

    target: Float[Tensor, "batch *event"]
    """The scaled values that the decoder is to explain."""
    draw: Draw
    prior: Distribution
    likelihood: ObservedDistribution
    output: Float[Tensor, "samples batch *decoded"] | None = None
    """The decoder's output, of which the likelihood is made."""

    @property
    def z(self) -> Float[Tensor, "samples batch latents"]:
        """The latents that were drawn."""
        return self.draw.z

    @property
    def posterior(self) -> Distribution:
        """q(z|x); of a ladder, that of each level given the levels above it as they were drawn."""
        return self.draw.posterior

    def distortion(self) -> Float[Tensor, "samples batch"]:
        """-log p(x|z)."""
        return self._distortion

    def rate(self) -> Float[Tensor, "samples batch"]:
        """KL(q(z|x) ‖ p(z)) in closed form; where there is none, its one-sample estimate."""
        return self._rate

    def rates(self) -> Float[Tensor, "samples batch parts"]:
        """The rate's parts: of each dimension where there is a closed form, else the whole."""
        if isinstance(self.posterior, DiagonalGaussian) and isinstance(self.prior, DiagonalGaussian):
            return rate_per_dimension(self.posterior, self.prior).expand(*self.z.shape)
        if isinstance(self.prior, UniformCodes):
            return self.prior.rates.expand(*self.z.shape)
        return self.rate().unsqueeze(-1)

    def level_rates(self) -> Float[Tensor, "samples batch levels"]:
        """The rate of each level of a ladder, topmost first; of any other model, which has one level, the whole."""
        return self.rate().unsqueeze(-1)

    def log_weight(self) -> Float[Tensor, "samples batch"]:
        """Log of the importance weight p(x, z) / q(z|x) (Burda et al., 2016, eq. 7)."""
        return self.prior.log_prob(self.z) - self.draw.log_q() - self.distortion()

    # The objective and the training curves ask for the same numbers: they are computed once.
    @cached_property
    def _distortion(self) -> Tensor:
        return -self.likelihood.log_prob(self.target)

    @cached_property
    def _rate(self) -> Tensor:
        try:
            closed = kl_divergence(self.posterior, self.prior)
        except NotImplementedError:
            return self.draw.log_q() - self.prior.log_prob(self.z)
        return closed.expand(self.z.shape[:2])


class VAE(nn.Module):
    """p(x, z) = p(x|z) p(z), with q(z|x) for inference; given a label, p(x|z) and q(z|x) are conditional on it."""

    def __init__(
        self,
        scaling: AnyScaling,
        encoder: nn.Module,
        posterior: nn.Module,
        prior: Prior | LadderPrior | UniformPrior,
        decoder: nn.Module,
        likelihood: Likelihood,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.scaling, self.encoder, self.posterior = scaling, encoder, posterior
        self.latent_prior, self.decoder, self.likelihood = prior, decoder, likelihood
        self.sampler: Sampler | None = None
        """The distribution of new latents, once training is over; until then the prior."""
        self.classes = classes
        """Number of labels that the model is conditional on; 0 if it isn't."""

    @property
    def latents(self) -> int:
        """Number of latent dimensions."""
        return self.latent_prior.latents

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of the latents that z holds, flat: of a vector (latents,), of a map channels, height and width."""
        return (self.latents,)

    @property
    def is_map(self) -> bool:
        """True if z is a map, which has too many numbers for whatever compares all pairs of them, or of examples."""
        return len(self.latent_shape) > 1

    @property
    def levels(self) -> tuple[int, ...]:
        """The numbers of latents of a ladder's levels, topmost first in z; of any other model, which has one, all."""
        return (self.latents,)

    @property
    def noise(self) -> int:
        """Numbers of noise that `draw` needs."""
        return self._sampler().noise

    def prior(self) -> Distribution:
        """p(z)."""
        prior: Distribution = self.latent_prior(self._unlabelled)
        return prior

    def encode(self, x: Shaped[Tensor, "batch *event"], label: Int[Tensor, " batch"] | None = None) -> Posterior:
        """q(z|x) of raw observations."""
        return self._posterior(self.scaling(x), label)

    def decode(
        self, z: Float[Tensor, "*samples batch latents"], label: Int[Tensor, " batch"] | None = None
    ) -> ObservedDistribution:
        """p(x|z), over scaled observations."""
        return self.likelihood(self.decoded(z, label))

    def decoded(
        self, z: Float[Tensor, "*samples batch latents"], label: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "*samples_batch_decoded"]:
        """The decoder's output, of which the likelihood is made."""
        one_hot, rows = self.one_hot(label), z.flatten(0, -2)
        if one_hot is not None:
            rows = torch.cat([rows, repeated(one_hot, z.shape[:-1])], 1)
        output: Tensor = self.decoder(rows).float().unflatten(0, z.shape[:-1])
        return output

    def forward(
        self,
        x: Shaped[Tensor, "batch *event"],
        target: Shaped[Tensor, "batch *event"] | None = None,
        samples: int = 1,
        label: Int[Tensor, " batch"] | None = None,
    ) -> Inference:
        """Infer z from raw `x` and explain `target` (raw too; `x` if None) by it."""
        scaled = self.scaling(x)
        posterior = self._posterior(scaled, label)
        explained = scaled if target is None else self.scaling(target)
        return self.explain(explained, posterior.drawn(torch.Size([samples])), label)

    def infer_by(
        self, x: Shaped[Tensor, "batch *event"], noise: Float[Tensor, "batch latents"], label: Tensor | None = None
    ) -> Inference:
        """Infer z from raw `x` by given noise of N(0, I) instead of drawing it."""
        scaled = self.scaling(x)
        return self.explain(scaled, self._posterior(scaled, label).draw(noise.unsqueeze(0)), label)

    def explain(
        self,
        target: Float[Tensor, "batch *event"],
        draw: Draw,
        label: Int[Tensor, " batch"] | None,
    ) -> Inference:
        """Explain `target`, which is scaled, by draws [samples, batch] of its posterior."""
        output = self.decoded(draw.z, label)
        return Inference(target, draw, self.prior(), self.likelihood(output), output)

    def draw(
        self, noise: Float[Tensor, "batch noise"], label: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch latents"]:
        """New latents from noise of N(0, I); of the classes `label`, where the sampler tells them apart."""
        sampler = self._sampler()
        z: Tensor = sampler(noise, label) if isinstance(sampler, ClassesSampler) else sampler(noise)
        return z

    def frozen(self) -> "VAE":
        """A copy whose prior and sampler are made: arithmetic alone, which can be exported."""
        copied = copy.deepcopy(self)
        copied.sampler = self._sampler()
        if isinstance(self.latent_prior, VampPrior | LadderPrior):
            copied.latent_prior = self.latent_prior.frozen(self._unlabelled)
        return copied

    def one_hot(self, label: Tensor | None) -> Tensor | None:
        """One-hot labels by a comparison in float32, which every ONNX runtime computes alike."""
        if not self.classes:
            return None
        if label is None:
            raise ValueError(f"this model is conditional on a label in 0..{self.classes - 1}; none was given")
        numbers = torch.arange(self.classes, device=label.device, dtype=torch.float32)
        return (label[:, None].float() == numbers).float()

    def _sampler(self) -> Sampler:
        return self.latent_prior.sampler(self._unlabelled) if self.sampler is None else self.sampler

    def _unlabelled(self, scaled: Tensor) -> Distribution:
        return self._posterior(scaled, None)

    def _posterior(self, scaled: Tensor, label: Tensor | None) -> Posterior:
        posterior: Posterior = self.posterior(self.encoder(scaled, self.one_hot(label)))
        return posterior


def repeated(rows: Shaped[Tensor, "batch *event"], shape: torch.Size) -> Shaped[Tensor, "rows *event"]:
    """The rows once for each of the samples of a shape [*samples, batch], flat; by copies, as tract mistakes a view."""
    copies = math.prod(shape[:-1])
    return rows if copies == 1 else torch.cat([rows] * copies)
