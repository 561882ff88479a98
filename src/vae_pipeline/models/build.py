"""From a recipe's model section and a DataSpec to a VAE; configuration goes no further than here."""

from typing import assert_never

from torch import nn

from vae_pipeline.errors import RecipeError
from vae_pipeline.models import likelihoods, posteriors, priors
from vae_pipeline.models.vae import VAE, Scaling
from vae_pipeline.nets.convolution import ConvolutionDecoder, ConvolutionEncoder
from vae_pipeline.nets.dense import DenseDecoder, DenseEncoder
from vae_pipeline.recipe import (
    BernoulliLikelihood,
    ConvolutionNet,
    DenseNet,
    GaussianLikelihood,
    GaussianPosterior,
    Model,
    StandardNormalPrior,
)
from vae_pipeline.spec import DataSpec


def build(model: Model, spec: DataSpec) -> VAE:
    """A VAE with fresh weights, drawn from torch's global generator.

    Raises:
        RecipeError: the model doesn't fit the data.
    """
    classes = len(spec.classes) if model.conditional else 0
    if model.conditional and not classes:
        raise RecipeError("model.conditional is true, but the data have no labels: set it to false, or give labels")
    encoder = _encoder(model.encoder, spec, classes)
    posterior = _posterior(model.posterior, encoder.features)
    prior = _prior(model.prior, model.posterior.latents)
    likelihood = _likelihood(model.likelihood, spec)
    decoder = _decoder(model.decoder, spec, model.posterior.latents + classes, likelihood.planes)
    return VAE(Scaling(spec.low, spec.high), encoder, posterior, prior, decoder, likelihood, classes)


def _encoder(net: DenseNet | ConvolutionNet, spec: DataSpec, labels: int) -> DenseEncoder | ConvolutionEncoder:
    match net:
        case DenseNet():
            return DenseEncoder(spec.event_shape, labels, net.layers, net.activation)
        case ConvolutionNet():
            return ConvolutionEncoder(spec.event_shape, labels, net.channels, net.activation)
        case _:
            assert_never(net)


def _posterior(posterior: GaussianPosterior, features: int) -> nn.Module:
    match posterior:
        case GaussianPosterior():
            return posteriors.GaussianPosterior(features, posterior.latents)
        case _:
            assert_never(posterior)


def _prior(prior: StandardNormalPrior, latents: int) -> nn.Module:
    match prior:
        case StandardNormalPrior():
            return priors.StandardNormalPrior(latents)
        case _:
            assert_never(prior)


def _decoder(net: DenseNet | ConvolutionNet, spec: DataSpec, features: int, planes: int) -> nn.Module:
    match net:
        case DenseNet():
            return DenseDecoder(features, spec.event_shape, planes, net.layers, net.activation)
        case ConvolutionNet():
            return ConvolutionDecoder(features, spec.event_shape, planes, net.channels, net.activation)
        case _:
            assert_never(net)


def _likelihood(likelihood: BernoulliLikelihood | GaussianLikelihood, spec: DataSpec) -> likelihoods.Likelihood:
    rank = len(spec.event_shape)
    match likelihood:
        case BernoulliLikelihood():
            return likelihoods.BernoulliLikelihood(rank)
        case GaussianLikelihood():
            return likelihoods.GaussianLikelihood(rank, likelihood.scale)
        case _:
            assert_never(likelihood)
