"""Remedies: what a recipe may change so that its latents carry more, or less; never what it does already.

A recipe whose controller steers beta is told of its target, and one with free bits of more of them.
"""

from collections.abc import Sequence
from typing import assert_never

from vae_pipeline.recipe import Recipe, TrainedRecipe
from vae_pipeline.recipe import objective as objectives
from vae_pipeline.recipe.model import (
    AnyModel,
    ContinuousLikelihood,
    ConvolutionNet,
    DiscretisedLikelihood,
    FiniteScalarPosterior,
    Model,
    NormalisedPosterior,
    RecurrentDecoder,
    SpatialPosterior,
)
from vae_pipeline.recipe.objective import ImportanceObjective, RateControl


def to_carry_more(recipe: Recipe | TrainedRecipe) -> str:
    """Changes for latents that tell too little."""
    model, control = recipe.model, recipe.rate_control
    if isinstance(model, Model) and isinstance(model.posterior, FiniteScalarPosterior):  # its rate never changes
        return f"try {either([*_sharper(model), 'more steps', 'wider nets'])}"
    found = _cheaper(control)
    if not isinstance(recipe.objective, ImportanceObjective):
        found += _freer(control)
    if isinstance(model, Model):
        if isinstance(model.decoder, RecurrentDecoder):
            if model.decoder.latents == "cut":
                return "set model.decoder.latents to used"
            found += [] if model.decoder.word_dropout else ["word_dropout of the decoder"]
        if not isinstance(model.posterior, NormalisedPosterior | SpatialPosterior):
            found.append("a normalised_gaussian posterior")
    return f"try {either([*found, *_sharper(model), 'more steps'])}"


def to_fit_better(recipe: Recipe | TrainedRecipe, impatient: bool = False) -> str:
    """Changes for a model that falls short of simpler ones; `impatient` if its training ended by `patience`."""
    model, longer = recipe.model, "a longer train.patience" if impatient else "more steps"
    return f"try {either([*_freer_mean(model), longer, *_sharper(model), *_past(model), 'wider nets'])}"


def to_carry_less(recipe: Recipe | TrainedRecipe) -> str:
    """Changes for posteriors that are next to points."""
    control = recipe.rate_control
    match control:
        case objectives.ConstantControl() | objectives.WarmUpControl() | objectives.CyclicalControl():
            price = "a higher rate_control.beta"
        case objectives.FreeBitsControl() | objectives.CapacityControl() | objectives.TargetRateControl():
            price = "a lower rate_control.nats"
        case objectives.TargetDistortionControl():
            price = "a lower rate_control.psnr" if control.nats is None else "a higher rate_control.nats"
        case _:
            assert_never(control)
    return f"try {price} or fewer latents"


def to_use_levels(recipe: Recipe | TrainedRecipe) -> str:
    """Changes for a ladder some of whose levels tell nothing."""
    control, found = recipe.rate_control, []
    if not isinstance(recipe.objective, ImportanceObjective):
        if not (isinstance(control, objectives.WarmUpControl) and control.balanced):
            found.append("a warm_up that is balanced")
        by_level = isinstance(control, objectives.FreeBitsControl) and control.per == "level"
        found.append("a higher rate_control.nats" if by_level else "free_bits per level")
    return f"try {either([*found, 'fewer levels'])}"


def either(options: Sequence[str]) -> str:
    """`a, b or c`."""
    return " or ".join(filter(None, [", ".join(options[:-1]), options[-1]]))


def _cheaper(control: RateControl) -> list[str]:
    """The key that says how much of the rate is wanted."""
    match control:
        case objectives.ConstantControl() | objectives.WarmUpControl() | objectives.CyclicalControl():
            return ["a lower rate_control.beta"] if control.beta else []
        case objectives.FreeBitsControl() | objectives.CapacityControl() | objectives.TargetRateControl():
            return ["a higher rate_control.nats"]
        case objectives.TargetDistortionControl():
            return ["a higher rate_control.psnr" if control.nats is None else "a lower rate_control.nats"]
        case _:
            assert_never(control)


def _freer(control: RateControl) -> list[str]:
    """Other rate controls that press a rate less to 0, of a recipe that holds it at no target."""
    match control:
        case objectives.ConstantControl():
            return ["a warm_up", "free_bits"]
        case objectives.WarmUpControl() | objectives.CyclicalControl():
            return ["free_bits"]
        case _:
            return []


def _sharper(model: AnyModel) -> list[str]:
    """A scale that was fixed, and may hide what z could tell."""
    fixed = isinstance(model.likelihood, ContinuousLikelihood) and isinstance(model.likelihood.scale, float | int)
    return ["a learned model.likelihood.scale"] if fixed else []


def _freer_mean(model: AnyModel) -> list[str]:
    """A mean that may leave the range: one inside it can't give all of an edge level's mass to that level."""
    likelihood = model.likelihood
    bounded = isinstance(likelihood, DiscretisedLikelihood) and likelihood.mean == "sigmoid"
    return ["model.likelihood.mean: linear"] if bounded else []


def _past(model: AnyModel) -> list[str]:
    """The linear way past convolutions that lack it."""
    nets = [model.encoder, model.decoder] if isinstance(model, Model) else []
    lacking = any(isinstance(net, ConvolutionNet) and not net.shortcut for net in nets)
    return ["shortcut: true of the convolutions"] if lacking else []
