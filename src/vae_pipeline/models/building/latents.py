"""The posterior and the prior, which know nothing of the kind of data."""

from typing import assert_never

from torch import nn

from vae_pipeline.models import posteriors, priors
from vae_pipeline.recipe import model as recipe
from vae_pipeline.system.errors import RecipeError


def posterior_of(posterior: recipe.VectorPosterior, features: int) -> nn.Module:
    """A module that makes q(z|x), of a vector of latents, of an encoder's features."""
    match posterior:
        case recipe.GaussianPosterior():
            return posteriors.GaussianPosterior(features, posterior.latents)
        case recipe.NormalisedPosterior():
            return posteriors.NormalisedPosterior(features, posterior.latents, posterior.spread)
        case recipe.FullPosterior():
            return posteriors.FullPosterior(features, posterior.latents)
        case recipe.FlowPosterior():
            return posteriors.FlowPosterior(features, posterior.latents, posterior.layers, posterior.width)
        case _:
            assert_never(posterior)


def prior_of(prior: recipe.AnyPrior, latents: int, shape: tuple[int, ...]) -> priors.Prior:
    """A module that makes p(z), of observations whose scaled values have that shape."""
    match prior:
        case recipe.StandardNormalPrior():
            return priors.StandardNormalPrior(latents)
        case recipe.MixturePrior():
            return priors.MixturePrior(latents, prior.components)
        case recipe.VampPrior():
            return priors.VampPrior(latents, prior.components, shape)
        case recipe.UniformPrior():
            raise RecipeError("model.prior.kind uniform is of codes: take model.posterior.kind finite_scalar")
        case _:
            assert_never(prior)
