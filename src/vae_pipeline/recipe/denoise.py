"""The section `train.denoise`: observations that are corrupted before a model sees them, and the clean ones behind."""

from typing import Annotated, Literal

from pydantic import Field

from vae_pipeline.recipe.corruption import GaussianNoise, ImageCorruption
from vae_pipeline.recipe.data import AudioData, Data, kind_of
from vae_pipeline.recipe.model import (
    AnyModel,
    GaussianLikelihood,
    LaplaceLikelihood,
    Model,
    ResidualFrames,
    SpectrogramView,
)
from vae_pipeline.recipe.section import Count, Section, SomeFraction
from vae_pipeline.recipe.sound_corruption import SoundCorruption, SoundStep

Corruption = Annotated[ImageCorruption | SoundCorruption, Field(discriminator="kind")]
SOURCES = {"noises": "noises", "reverberation": "rooms"}
"""The field of the data section that a kind of corruption needs."""


class Denoise(Section):
    """The task of telling the clean observation from a corrupted one."""

    mode: Literal["supervised", "noisy_only"]
    """`supervised`: q(z|corrupted) and the likelihood of the clean one, corrupted anew in every epoch. `noisy_only`:
    each observation is corrupted once, and no clean one is seen; the likelihood is the noise, so that its mean is the
    clean one."""
    corruption: Annotated[tuple[Corruption, ...], Field(min_length=1)]
    """Corruptions, in the order in which they happen. A level that is given as [lowest, highest] is drawn evenly
    between them for each observation, and the model isn't told it."""
    draws: Literal[0] | Annotated[Count, Field(ge=2, le=1024)] = 16
    """Draws of z, the same for each observation, whose mean is the answer, and whose spread says how sure it is; or 0
    for one z, the posterior's mean, where the likelihood says by itself how sure each value is (`per_element`)."""
    coverage: SomeFraction = 0.9
    """Share of the clean values of a new image that its intervals are to hold, in expectation."""

    @property
    def sources(self) -> list[str]:
        """The fields of the data section whose recordings are mixed in."""
        return [SOURCES[step.kind] for step in self.corruption if step.kind in SOURCES]

    @property
    def told(self) -> str:
        """The task in a sentence."""
        steps = "; ".join(step.told for step in self.corruption)
        aim = "explained the clean ones" if self.mode == "supervised" else "saw no clean one"
        given = "recordings" if isinstance(self.corruption[0], SoundStep) else "images"
        return f"It was given corrupted {given} ({steps}) and {aim}."


def _step_fits(step: Corruption, data: Data) -> None:
    sound = isinstance(step, SoundStep)
    if sound != (kind_of(data) == "audio"):
        raise ValueError(
            f"train.denoise.corruption.kind {step.kind} is of {'sound' if sound else 'images'}, and data.kind is "
            f"{data.kind}: take another"
        )
    source = SOURCES.get(step.kind)
    if source is not None and (not isinstance(data, AudioData) or getattr(data, source) is None):
        raise ValueError(
            f"train.denoise.corruption.kind {step.kind} mixes in what data.{source} names, which isn't given: name it"
        )


def _sound_fits(denoise: Denoise, model: AnyModel) -> None:
    frames = isinstance(model, Model) and isinstance(model.encoder, ResidualFrames)
    if not frames or model.conditional or not isinstance(model.likelihood, GaussianLikelihood | LaplaceLikelihood):
        raise ValueError(
            "train.denoise of sound makes each bin of a spectrogram quieter: wanted nets of kind residual_frames, a "
            "likelihood of kind gaussian or laplace, and model.conditional false"
        )
    if isinstance(model.view, SpectrogramView) and model.view.mel is not None:
        raise ValueError("train.denoise of sound makes each frequency quieter: set model.view.mel to null")
    if denoise.mode != "supervised" or denoise.draws != 0:
        raise ValueError(
            "train.denoise of sound takes one z, the posterior's mean, so that a recording in chunks is what it is as "
            "a whole: set train.denoise.mode to supervised, and its draws to 0"
        )


def denoising_fits(denoise: Denoise | None, data: Data, model: AnyModel) -> None:
    """Refuse data and likelihoods that can't be denoised.

    Raises:
        ValueError: something doesn't go with the section; the message says what to take.
    """
    if denoise is None:
        return
    if kind_of(data) not in ("image", "audio"):
        raise ValueError(f"train.denoise is for images and sound, and data.kind is {data.kind}: set it to null")
    for step in denoise.corruption:
        _step_fits(step, data)
    if kind_of(data) == "audio":
        _sound_fits(denoise, model)
        return
    likelihood = model.likelihood
    if denoise.draws == 0 and (denoise.mode == "noisy_only" or getattr(likelihood, "scale", None) != "per_element"):
        raise ValueError(
            "train.denoise.draws is 0, so that the likelihood alone says how sure a value is: wanted mode supervised "
            "and model.likelihood.scale per_element, or 2 draws or more"
        )
    if denoise.mode == "supervised":
        if not isinstance(likelihood, GaussianLikelihood | LaplaceLikelihood):
            raise ValueError(
                "train.denoise.mode supervised takes the likelihood's variance for doubt about the clean values: set "
                f"model.likelihood.kind, which is {likelihood.kind}, to gaussian or laplace"
            )
        return
    match denoise.corruption:
        case (GaussianNoise(deviation=float() as deviation),):
            pass
        case _:
            raise ValueError(
                "train.denoise.mode noisy_only takes the likelihood for the noise: wanted one corruption, of kind "
                "gaussian and with one number for its deviation; for any other take mode supervised"
            )
    if not isinstance(likelihood, GaussianLikelihood) or likelihood.scale not in (deviation, "learned"):
        raise ValueError(
            "train.denoise.mode noisy_only takes the likelihood for the noise: set model.likelihood.kind to "
            f"gaussian, and its scale to {deviation:g}, which is the noise's deviation, or to learned"
        )
