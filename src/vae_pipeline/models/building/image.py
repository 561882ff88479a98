"""Models of images."""

import math
from typing import assert_never

import torch
from torch import nn

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.models.building.ladder import ladder_model
from vae_pipeline.models.building.latents import posterior_of, prior_of
from vae_pipeline.models.likelihoods import Likelihood
from vae_pipeline.models.likelihoods.bernoulli import BernoulliLikelihood
from vae_pipeline.models.likelihoods.categorical import CategoricalLikelihood
from vae_pipeline.models.likelihoods.discretised import DiscretisedLikelihood, LaplaceTail, NormalTail
from vae_pipeline.models.likelihoods.gaussian import GaussianLikelihood
from vae_pipeline.models.likelihoods.laplace import LaplaceLikelihood
from vae_pipeline.models.likelihoods.logistic import LogisticLikelihood
from vae_pipeline.models.likelihoods.student_t import StudentTLikelihood
from vae_pipeline.models.nets.convolution import ConvolutionDecoder, ConvolutionEncoder, fitting
from vae_pipeline.models.nets.dense import DenseDecoder, DenseEncoder
from vae_pipeline.models.nets.residual import ResidualDecoder, ResidualEncoder
from vae_pipeline.models.nets.residual_blocks import Style, groups_of
from vae_pipeline.models.posteriors import FiniteScalarPosterior, SpatialGaussianPosterior
from vae_pipeline.models.priors import UniformPrior
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.spatial import QuantisedVAE, SpatialVAE
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe import model as recipe
from vae_pipeline.system.errors import RecipeError


def image_model(model: recipe.AnyModel, spec: ImageSpec, classes: int) -> VAE:
    """A VAE of images, conditional on so many classes."""
    if isinstance(model, recipe.Ladder):
        return ladder_model(model, spec, classes, _likelihood(model.likelihood, spec))
    likelihood = _likelihood(model.likelihood, spec)
    if isinstance(model.posterior, recipe.SpatialPosterior):
        return _spatial(model, model.posterior, spec, classes, likelihood)
    encoder = _encoder(model.encoder, spec, classes)
    posterior = posterior_of(model.posterior, encoder.features)
    prior = prior_of(model.prior, model.posterior.latents, spec)
    decoder = _decoder(model.decoder, spec, model.posterior.latents, classes, likelihood.planes)
    return VAE(Scaling(spec.low, spec.high), encoder, posterior, prior, decoder, likelihood, classes)


def _spatial(
    model: recipe.Model,
    section: recipe.SpatialPosterior,
    spec: ImageSpec,
    classes: int,
    likelihood: Likelihood,
) -> SpatialVAE:
    assert isinstance(model.encoder, recipe.ResidualNet) and isinstance(model.decoder, recipe.ResidualNet)
    encoder = _residual_encoder(model.encoder, spec, classes, flat=False)
    scaling, shape = Scaling(spec.low, spec.high), (section.channels, *encoder.side)
    pointwise = isinstance(section, recipe.SpatialGaussianPosterior) and section.pointwise
    decoder = _residual_decoder(model.decoder, spec, shape, classes, likelihood.planes, pointwise)
    match section:
        case recipe.SpatialGaussianPosterior():
            gaussian = SpatialGaussianPosterior(encoder.channels, section.channels, section.pointwise)
            prior = prior_of(model.prior, math.prod(shape), spec)
            return SpatialVAE(scaling, encoder, gaussian, prior, decoder, likelihood, classes)
        case recipe.FiniteScalarPosterior():
            codes = FiniteScalarPosterior(encoder.channels, section.levels)
            uniform = UniformPrior(torch.tensor(section.levels).float().repeat_interleave(math.prod(encoder.side)))
            return QuantisedVAE(scaling, encoder, codes, uniform, decoder, likelihood, classes)
        case _:
            assert_never(section)


def _encoder(
    net: recipe.EncoderNet, spec: ImageSpec, labels: int
) -> DenseEncoder | ConvolutionEncoder | ResidualEncoder:
    match net:
        case recipe.DenseNet():
            return DenseEncoder(spec.event_shape, labels, net.layers, net.activation)
        case recipe.ConvolutionNet():
            layers = fitting(spec.event_shape[1:], len(net.channels), net.smallest)
            return ConvolutionEncoder(spec.event_shape, labels, net.channels[:layers], net.activation, net.shortcut)
        case recipe.ResidualNet():
            return _residual_encoder(net, spec, labels, flat=True)
        case recipe.RecurrentEncoder():
            raise RecipeError("model.encoder.kind recurrent is of sentences, but the data are images")
        case _:
            assert_never(net)


def _decoder(net: recipe.DecoderNet, spec: ImageSpec, latents: int, labels: int, planes: int) -> nn.Module:
    features = latents + labels
    match net:
        case recipe.DenseNet():
            return DenseDecoder(features, spec.event_shape, planes, net.layers, net.activation)
        case recipe.ConvolutionNet():
            layers = fitting(spec.event_shape[1:], len(net.channels), net.smallest)
            return ConvolutionDecoder(
                features, spec.event_shape, planes, net.channels[-layers:], net.activation, net.shortcut
            )
        case recipe.ResidualNet():
            return _residual_decoder(net, spec, (latents,), labels, planes)
        case recipe.RecurrentDecoder():
            raise RecipeError("model.decoder.kind recurrent is of sentences, but the data are images")
        case _:
            assert_never(net)


def _residual_encoder(net: recipe.ResidualNet, spec: ImageSpec, labels: int, flat: bool) -> ResidualEncoder:
    return ResidualEncoder(spec.event_shape, labels, net.channels, net.blocks, _style(net), flat)


def _residual_decoder(
    net: recipe.ResidualNet,
    spec: ImageSpec,
    latent_shape: tuple[int, ...],
    labels: int,
    planes: int,
    pointwise: bool = False,
) -> ResidualDecoder:
    return ResidualDecoder(
        latent_shape, labels, spec.event_shape, planes, net.channels, net.blocks, _style(net), pointwise
    )


def _style(net: recipe.ResidualNet) -> Style:
    groups = groups_of(net.channels) if net.normalisation == "group" else None
    return Style(net.activation, groups, net.attention, net.checkpointing)


def _likelihood(likelihood: recipe.Likelihood, spec: ImageSpec) -> Likelihood:
    shape, rank = spec.event_shape, len(spec.event_shape)
    match likelihood:
        case recipe.BernoulliLikelihood():
            return BernoulliLikelihood(rank)
        case recipe.GaussianLikelihood():
            return GaussianLikelihood(shape, likelihood.scale, likelihood.mean)
        case recipe.LaplaceLikelihood():
            return LaplaceLikelihood(shape, likelihood.scale, likelihood.mean)
        case recipe.StudentTLikelihood():
            return StudentTLikelihood(shape, likelihood.scale, likelihood.mean, likelihood.degrees)
        case recipe.DiscretisedLikelihood():
            tail = NormalTail() if likelihood.kind == "discretised_gaussian" else LaplaceTail()
            levels = _levels(likelihood.kind, spec)
            return DiscretisedLikelihood(tail, shape, likelihood.scale, likelihood.mean, levels)
        case recipe.LogisticLikelihood():
            return LogisticLikelihood(rank, _levels(likelihood.kind, spec), likelihood.components)
        case recipe.CategoricalLikelihood():
            return CategoricalLikelihood(rank, _levels(likelihood.kind, spec))
        case recipe.AutoregressiveLikelihood():
            raise RecipeError("model.likelihood.kind autoregressive is of sentences, but the data are images")
        case recipe.MixedLikelihood():
            raise RecipeError("model.likelihood.kind mixed is of the columns of a table, but the data are images")
        case _:
            assert_never(likelihood)


def _levels(kind: str, spec: ImageSpec) -> int:
    """The number of whole numbers from the data's lowest to its highest."""
    if spec.dtype != "uint8":
        raise RecipeError(
            f"model.likelihood.kind {kind} gives probabilities to whole numbers, but the data are {spec.dtype}: "
            "give uint8 data, or take gaussian or laplace"
        )
    return round(spec.high - spec.low) + 1
