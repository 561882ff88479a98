"""The posterior q(z|x) and the prior p(z)."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vae_pipeline.recipe.section import Count, Positive, Section

CODEBOOK = 2**24  # codes, which float32 can still number


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


class FiniteScalarPosterior(Section):
    """One code at each place of a map: each of its numbers is rounded to one of a few levels. It needs the nets of
    spatial_gaussian, and a prior of kind uniform."""

    kind: Literal["finite_scalar"]
    levels: Annotated[tuple[Annotated[Count, Field(ge=2)], ...], Field(min_length=1)]
    """The number of levels of each channel; a place has one of their product of codes."""

    @property
    def channels(self) -> int:
        """Numbers at each place of the map."""
        return len(self.levels)

    @model_validator(mode="after")
    def _can_be_counted(self) -> "FiniteScalarPosterior":
        if (size := math.prod(self.levels)) > CODEBOOK:
            raise ValueError(f"levels make {size:,} codes; wanted {CODEBOOK:,} at most: take fewer or smaller levels")
        return self


VectorPosterior = GaussianPosterior | NormalisedPosterior | FullPosterior | FlowPosterior
"""Posteriors of a vector of so many latents."""
SpatialPosterior = SpatialGaussianPosterior | FiniteScalarPosterior
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


class UniformPrior(Section):
    """The same probability for each code of a posterior of kind finite_scalar."""

    kind: Literal["uniform"]


Prior = Annotated[StandardNormalPrior | MixturePrior | VampPrior, Field(discriminator="kind")]
"""Priors of latents that may take any value."""
AnyPrior = Annotated[StandardNormalPrior | MixturePrior | VampPrior | UniformPrior, Field(discriminator="kind")]
