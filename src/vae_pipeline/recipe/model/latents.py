"""The posterior q(z|x) and the prior p(z)."""

from typing import Annotated, Literal

from pydantic import Field

from vae_pipeline.recipe.section import Count, Positive, Section


class GaussianPosterior(Section):
    """Diagonal Gaussian q(z|x)."""

    kind: Literal["gaussian"]
    latents: Count
    """Latent dimensions."""


class NormalisedPosterior(Section):
    """Diagonal Gaussian whose means are normalised over the batch, so that no dimension can collapse."""

    kind: Literal["normalised_gaussian"]
    latents: Count
    """Latent dimensions."""
    spread: Positive
    """Standard deviation of the means over the data: the rate is at least latents * spread² / 2."""


class FullPosterior(Section):
    """Gaussian q(z|x) with a full covariance."""

    kind: Literal["full_gaussian"]
    latents: Count
    """Latent dimensions."""


class FlowPosterior(Section):
    """A diagonal Gaussian passed through affine coupling layers that see the encoder's features."""

    kind: Literal["coupling_flow"]
    latents: Annotated[Count, Field(ge=2)]
    """Latent dimensions."""
    layers: Count
    """Coupling layers."""
    width: Count
    """Hidden units of each coupling layer's network."""


class SpatialGaussianPosterior(Section):
    """Diagonal Gaussian over a map of latents, [channels, height / f, width / f], so that a model takes images of any
    size. It needs an encoder and a decoder of kind residual, of as many levels."""

    kind: Literal["spatial_gaussian"]
    channels: Count
    """Latents at each place of the map."""
    pointwise: bool = False
    """True for a 1x1 convolution on either side of the latents, as older autoencoders of diffusers have them."""


VectorPosterior = GaussianPosterior | NormalisedPosterior | FullPosterior | FlowPosterior
"""Posteriors of a vector of so many latents."""
SpatialPosterior = SpatialGaussianPosterior
"""Posteriors of a map, which has a place for each f x f pixels."""
Posterior = Annotated[VectorPosterior | SpatialPosterior, Field(discriminator="kind")]


class StandardNormalPrior(Section):
    """p(z) = N(0, I)."""

    kind: Literal["standard_normal"]


class MixturePrior(Section):
    """A mixture of diagonal Gaussians, learned with the model."""

    kind: Literal["mixture"]
    components: Count
    """Gaussians of the mixture."""


class VampPrior(Section):
    """The mixture of the posteriors of observations that are learned with the model (pseudo-inputs). It needs a
    posterior of kind gaussian, and `conditional: false`."""

    kind: Literal["vamp"]
    components: Count
    """Pseudo-inputs."""


Prior = Annotated[StandardNormalPrior | MixturePrior | VampPrior, Field(discriminator="kind")]
