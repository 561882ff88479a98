"""Models of spectrograms whose latents are a map with a place for each frame."""

import math

import torch
from torch import nn

from vae_pipeline.models.building.latents import prior_of
from vae_pipeline.models.building.seen import Seen
from vae_pipeline.models.frames import FramesVAE
from vae_pipeline.models.likelihoods import Likelihood
from vae_pipeline.models.nets.residual_frames import FramesDecoder, FramesEncoder
from vae_pipeline.models.posteriors import FramesPosterior
from vae_pipeline.recipe import model as recipe

SMALL = 0.1  # the factor of the weights beside the way past the blocks, at the start
LOG_VARIANCE = -6.0  # of the posterior, at the start


def frames_model(model: recipe.Model, seen: Seen, classes: int, likelihood: Likelihood) -> FramesVAE:
    """A VAE of spectrograms, conditional on so many classes."""
    section, eyes, hands = model.posterior, model.encoder, model.decoder
    assert isinstance(section, recipe.SpatialGaussianPosterior)  # a recipe says so
    assert isinstance(eyes, recipe.ResidualFrames) and isinstance(hands, recipe.ResidualFrames)
    encoder = FramesEncoder(
        seen.event_shape, classes, section.channels, eyes.width, eyes.blocks, eyes.activation, eyes.causal
    )
    posterior = FramesPosterior(eyes.width, section.channels, section.pointwise)
    prior = prior_of(model.prior, section.channels * math.prod(encoder.side), seen.event_shape)
    decoder = FramesDecoder(
        section.channels,
        classes,
        seen.event_shape,
        likelihood.planes,
        hands.width,
        hands.blocks,
        hands.activation,
        hands.causal,
    )
    _begin_open(posterior, decoder)
    return FramesVAE(seen.scaling, encoder, posterior, prior, decoder, likelihood, classes)


@torch.no_grad()
def _begin_open(posterior: FramesPosterior, decoder: FramesDecoder) -> None:
    """Let little be added to what passes the blocks, at first, and latents be sure."""
    assert posterior.moments.bias is not None
    posterior.moments.weight.mul_(SMALL)
    nn.init.constant_(posterior.moments.bias[posterior.channels :], LOG_VARIANCE)
    last = decoder.layers[-1]
    assert isinstance(last, nn.Conv1d)
    last.weight.mul_(SMALL)
