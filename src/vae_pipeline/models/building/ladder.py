"""Ladders over images and spectrograms."""

from torch import nn

from vae_pipeline.models.building.latents import prior_of
from vae_pipeline.models.building.seen import Seen
from vae_pipeline.models.ladder import LadderVAE
from vae_pipeline.models.ladder_prior import LadderPrior
from vae_pipeline.models.likelihoods import Likelihood
from vae_pipeline.models.nets.ladder import LadderDecoder, LadderEncoder, LadderHead, begin_small
from vae_pipeline.models.nets.levels import LevelRow, levels_of
from vae_pipeline.models.priors import Prior, StandardNormalPrior
from vae_pipeline.recipe.model import Ladder


def ladder_model(model: Ladder, seen: Seen, classes: int, likelihood: Likelihood) -> LadderVAE:
    """A ladder, conditional on so many classes."""
    rows = [
        LevelRow(row.channels, row.latents, row.blocks, row.stride, row.repeat, row.bottleneck) for row in model.levels
    ]
    levels, function = levels_of(seen.event_shape, rows), model.activation
    encoder = LadderEncoder(seen.event_shape, classes, levels, function)
    heads = nn.ModuleList(LadderHead(level, function) for level in levels)
    decoder = LadderDecoder(seen.event_shape, classes, likelihood.planes, levels, function, model.residual)
    if model.residual:
        begin_small(encoder, heads, decoder)
    prior = _prior(prior_of(model.prior, decoder.sizes[0], seen.event_shape), sum(decoder.sizes))
    return LadderVAE(seen.scaling, encoder, heads, prior, decoder, likelihood, classes)


def _prior(top: Prior, latents: int) -> Prior | LadderPrior:
    """The prior of all levels, where `top` is that of the topmost."""
    if isinstance(top, StandardNormalPrior):
        return StandardNormalPrior(latents)
    return LadderPrior(top, latents - top.latents)
