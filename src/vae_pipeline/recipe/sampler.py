"""The section `sampler`: the distribution that new latents are drawn from."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from vae_pipeline.recipe.section import Count, Section

SamplerKind = Literal["prior", "gaussian", "gaussian_by_class", "mixture", "flow", "flow_matching"]
"""The prior, or a distribution that is fitted to the posteriors of the training data."""


class MixtureOf(Section):
    """A fitted mixture of so many Gaussians."""

    kind: Literal["mixture"]
    components: Count = 10
    """Gaussians of the mixture."""


class FlowMatching(Section):
    """A small network that learns the velocity by which noise moves to the latents of the training data."""

    kind: Literal["flow_matching"]
    steps: Count = 8
    """Evaluations of the network in a draw, which the exported graph makes one after the other."""
    width: Count | None = None
    """Width of the network's layers; null for 256, or 32 channels where latents are a map."""
    layers: Count = 3
    """Residual layers of the network."""
    updates: Count | None = None
    """Updates of the network's weights when it is fitted; null for 8,000, or 2,000 (of smaller batches) where latents
    are a map."""


class Among(Section):
    """The best of the kinds that are named, as `auto` chooses."""

    kind: Literal["auto"]
    among: Annotated[tuple[SamplerKind, ...], Field(min_length=1)]
    """Kinds that are fitted and compared."""


Asked = SamplerKind | MixtureOf | FlowMatching
"""A sampler by its kind alone, or with its settings."""
Sampler = (
    Literal["auto", "prior", "gaussian", "gaussian_by_class", "mixture", "flow", "flow_matching"]
    | Annotated[MixtureOf | FlowMatching | Among, Field(discriminator="kind")]
)
"""The sampler of new latents. `auto` takes the one whose samples are nearest to the validation data, and as many
components of a mixture as bring them nearest: images by the Fréchet distance of their features, rows of a table by the
AUC of boosted trees that tell drawn ones from real ones.
"""


def kinds_of(sampler: Sampler) -> Sequence[str]:
    """The kinds that a recipe names: one, or those that are compared."""
    match sampler:
        case str():
            return (sampler,)
        case Among(among=among):
            return among
        case _:
            return (sampler.kind,)
