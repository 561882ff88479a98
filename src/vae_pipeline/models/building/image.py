"""Models of images, and of sound in views that are like images or sequences."""

import math
from typing import assert_never

import torch
from torch import nn

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.models.building.features import features_seen
from vae_pipeline.models.building.frames import frames_model
from vae_pipeline.models.building.ladder import ladder_model
from vae_pipeline.models.building.latents import posterior_of, prior_of
from vae_pipeline.models.building.seen import Seen
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
from vae_pipeline.models.nets.frames import FrameDecoder, FrameEncoder
from vae_pipeline.models.nets.residual import ResidualDecoder, ResidualEncoder
from vae_pipeline.models.nets.residual_blocks import Style, groups_of
from vae_pipeline.models.nets.waveform import WaveformDecoder, WaveformEncoder
from vae_pipeline.models.posteriors import FiniteScalarPosterior, SpatialGaussianPosterior
from vae_pipeline.models.priors import UniformPrior
from vae_pipeline.models.spatial import QuantisedVAE, SpatialVAE
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe import model as recipe


def image_model(model: recipe.AnyModel, spec: ImageSpec, classes: int) -> VAE:
    """A VAE of images, or of their features, conditional on so many classes."""
    seen = Seen.of_images(spec) if model.view is None else features_seen(model.view, spec)
    return seen_model(model, seen, classes)


def seen_model(model: recipe.AnyModel, seen: Seen, classes: int) -> VAE:
    """A VAE of scaled values with axes, conditional on so many classes."""
    if isinstance(model, recipe.Ladder):
        return ladder_model(model, seen, classes, _likelihood(model.likelihood, seen))
    likelihood = _likelihood(model.likelihood, seen)
    if isinstance(model.posterior, recipe.SpatialPosterior) and isinstance(model.encoder, recipe.ResidualFrames):
        return frames_model(model, seen, classes, likelihood)
    if isinstance(model.posterior, recipe.SpatialPosterior):
        return _spatial(model, model.posterior, seen, classes, likelihood)
    encoder = _encoder(model.encoder, seen, classes)
    posterior = posterior_of(model.posterior, encoder.features)
    prior = prior_of(model.prior, model.posterior.latents, seen.event_shape)
    decoder = _decoder(model.decoder, seen, model.posterior.latents, classes, likelihood.planes)
    return VAE(seen.scaling, encoder, posterior, prior, decoder, likelihood, classes)


def _spatial(
    model: recipe.Model,
    section: recipe.SpatialPosterior,
    seen: Seen,
    classes: int,
    likelihood: Likelihood,
) -> SpatialVAE:
    assert isinstance(model.encoder, recipe.ResidualNet) and isinstance(model.decoder, recipe.ResidualNet)
    encoder = _residual_encoder(model.encoder, seen, classes, flat=False)
    shape = (section.channels, *encoder.side)
    pointwise = isinstance(section, recipe.SpatialGaussianPosterior) and section.pointwise
    decoder = _residual_decoder(model.decoder, seen, shape, classes, likelihood.planes, pointwise)
    match section:
        case recipe.SpatialGaussianPosterior():
            gaussian = SpatialGaussianPosterior(encoder.channels, section.channels, section.pointwise)
            prior = prior_of(model.prior, math.prod(shape), seen.event_shape)
            return SpatialVAE(seen.scaling, encoder, gaussian, prior, decoder, likelihood, classes)
        case recipe.FiniteScalarPosterior():
            codes = FiniteScalarPosterior(encoder.channels, section.levels)
            uniform = UniformPrior(torch.tensor(section.levels).float().repeat_interleave(math.prod(encoder.side)))
            return QuantisedVAE(seen.scaling, encoder, codes, uniform, decoder, likelihood, classes)
        case _:
            assert_never(section)


def _encoder(
    net: recipe.EncoderNet, seen: Seen, labels: int
) -> DenseEncoder | ConvolutionEncoder | ResidualEncoder | WaveformEncoder | FrameEncoder:
    match net:
        case recipe.DenseNet():
            return DenseEncoder(seen.event_shape, labels, net.layers, net.activation, net.shortcut)
        case recipe.ConvolutionNet():
            layers = fitting(seen.event_shape[1:], len(net.channels), net.smallest)
            return ConvolutionEncoder(seen.event_shape, labels, net.channels[:layers], net.activation, net.shortcut)
        case recipe.ResidualNet():
            return _residual_encoder(net, seen, labels, flat=True)
        case recipe.WaveformNet():
            return WaveformEncoder(seen.event_shape, labels, net.channels, net.stride, net.blocks, net.activation)
        case recipe.FrameNet():
            return FrameEncoder(seen.event_shape, labels, net.cell, net.width)
        case recipe.ResidualFrames():
            raise seen.refused("encoder", net.kind, "a map of latents over frames")
        case recipe.RecurrentEncoder():
            raise seen.refused("encoder", net.kind, "sentences")
        case _:
            assert_never(net)


def _decoder(net: recipe.DecoderNet, seen: Seen, latents: int, labels: int, planes: int) -> nn.Module:
    features = latents + labels
    match net:
        case recipe.DenseNet():
            return DenseDecoder(features, seen.event_shape, planes, net.layers, net.activation, net.shortcut)
        case recipe.ConvolutionNet():
            layers = fitting(seen.event_shape[1:], len(net.channels), net.smallest)
            return ConvolutionDecoder(
                features, seen.event_shape, planes, net.channels[-layers:], net.activation, net.shortcut
            )
        case recipe.ResidualNet():
            return _residual_decoder(net, seen, (latents,), labels, planes)
        case recipe.WaveformNet():
            return WaveformDecoder(
                features, seen.event_shape, planes, net.channels, net.stride, net.blocks, net.activation
            )
        case recipe.FrameNet():
            return FrameDecoder(features, seen.event_shape, planes, net.cell, net.width)
        case recipe.ResidualFrames():
            raise seen.refused("decoder", net.kind, "a map of latents over frames")
        case recipe.RecurrentDecoder():
            raise seen.refused("decoder", net.kind, "sentences")
        case _:
            assert_never(net)


def _residual_encoder(net: recipe.ResidualNet, seen: Seen, labels: int, flat: bool) -> ResidualEncoder:
    return ResidualEncoder(seen.event_shape, labels, net.channels, net.blocks, _style(net), flat, net.shortcut)


def _residual_decoder(
    net: recipe.ResidualNet,
    seen: Seen,
    latent_shape: tuple[int, ...],
    labels: int,
    planes: int,
    pointwise: bool = False,
) -> ResidualDecoder:
    return ResidualDecoder(
        latent_shape,
        labels,
        seen.event_shape,
        planes,
        net.channels,
        net.blocks,
        _style(net),
        pointwise,
        net.shortcut,
    )


def _style(net: recipe.ResidualNet) -> Style:
    groups = groups_of(net.channels) if net.normalisation == "group" else None
    return Style(net.activation, groups, net.attention, net.checkpointing)


def _likelihood(likelihood: recipe.Likelihood, seen: Seen) -> Likelihood:
    shape, rank = seen.event_shape, len(seen.event_shape)
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
            levels = seen.levels(likelihood.kind)
            return DiscretisedLikelihood(tail, shape, likelihood.scale, likelihood.mean, levels)
        case recipe.LogisticLikelihood():
            return LogisticLikelihood(rank, seen.levels(likelihood.kind), likelihood.components)
        case recipe.CategoricalLikelihood():
            return CategoricalLikelihood(rank, seen.levels(likelihood.kind))
        case recipe.AutoregressiveLikelihood():
            raise seen.refused("likelihood", likelihood.kind, "sentences")
        case recipe.MixedLikelihood():
            raise seen.refused("likelihood", likelihood.kind, "the columns of a table")
        case _:
            assert_never(likelihood)
