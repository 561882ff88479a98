"""Models of spectrograms whose latents are a map with a place for each frame."""

import math

import torch
from torch import nn

from vae_pipeline.models.building.latents import prior_of
from vae_pipeline.models.building.seen import Seen
from vae_pipeline.models.frames import FramesVAE
from vae_pipeline.models.likelihoods import Likelihood
from vae_pipeline.models.nets.residual_frames import FramesDecoder, FramesEncoder
from vae_pipeline.models.posteriors import SpatialGaussianPosterior
from vae_pipeline.recipe import model as recipe

SMALL = 0.1  # the factor of weights beside the linear way, at the start
SPREAD = 2.0  # the factor by which latents are wider than frames on [-1, 1]
LOG_VARIANCE = -6.0  # of the posterior, at the start


def frames_model(model: recipe.Model, seen: Seen, classes: int, likelihood: Likelihood) -> FramesVAE:
    """A VAE of spectrograms, conditional on so many classes."""
    section, eyes, hands = model.posterior, model.encoder, model.decoder
    assert isinstance(section, recipe.SpatialGaussianPosterior)  # a recipe says so
    assert isinstance(eyes, recipe.ResidualFrames) and isinstance(hands, recipe.ResidualFrames)
    encoder = FramesEncoder(seen.event_shape, classes, eyes.width, eyes.blocks, eyes.activation, eyes.causal)
    posterior = SpatialGaussianPosterior(encoder.channels, section.channels, section.pointwise, kernel=1)
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
    _begin_open(encoder, posterior, decoder)
    return FramesVAE(seen.scaling, encoder, posterior, prior, decoder, likelihood, classes)


@torch.no_grad()
def _begin_open(encoder: FramesEncoder, posterior: SpatialGaussianPosterior, decoder: FramesDecoder) -> None:
    """Let the latents' means be a turned frame, and the decoder's first numbers what it was, as far as they can."""
    values, latents = encoder.values, posterior.moments.out_channels // 2
    turn = nn.init.orthogonal_(torch.empty(latents, values))
    posterior.moments.weight.mul_(SMALL)
    posterior.moments.weight[:latents, -values:, 0, 0] = SPREAD * turn
    nn.init.constant_(posterior.moments.bias[latents:], LOG_VARIANCE)  # type: ignore[index]
    last = decoder.layers[-1]
    assert isinstance(last, nn.Conv1d)
    last.weight.mul_(SMALL)
    nn.init.zeros_(decoder.linear.weight)
    decoder.linear.weight[:, :latents, 0] = turn.mT / (2 * SPREAD)  # frames are on [-1, 1], values on [0, 1]
