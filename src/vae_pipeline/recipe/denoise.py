"""The section `train.denoise`: observations that are corrupted before the encoder sees them, and the clean ones behind.

Values are on the scale where the data's range is 1. A level is a number, or a range [lowest, highest] of which each
observation draws its own: a model of a range is blind, as it isn't told the level.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from vae_pipeline.recipe.data import Data, kind_of
from vae_pipeline.recipe.model import AnyModel, GaussianLikelihood, LaplaceLikelihood
from vae_pipeline.recipe.section import Count, Positive, Section, SomeFraction


def _rising(level: object) -> object:
    if isinstance(level, tuple) and level[0] >= level[1]:
        raise ValueError(f"a range of {level[0]:g} to {level[1]:g} was given; wanted the lower one first")
    return level


Level = Annotated[Positive | tuple[Positive, Positive], AfterValidator(_rising)]
ShareLevel = Annotated[SomeFraction | tuple[SomeFraction, SomeFraction], AfterValidator(_rising)]
Quality = Annotated[int, Field(ge=1, le=95, strict=True)]
QualityLevel = Annotated[Quality | tuple[Quality, Quality], AfterValidator(_rising)]


class _Step(Section):
    """A corruption, which says itself in words."""

    @property
    def told(self) -> str:
        """The kind and its fields: `gaussian, deviation 0.1 to 0.5`."""
        kind, *fields = self.model_dump().items()
        return ", ".join([kind[1], *(f"{name} {_words(value)}" for name, value in fields)])


def _words(level: float | tuple[float, float]) -> str:
    return " to ".join(f"{end:g}" for end in (level if isinstance(level, tuple) else (level,)))


class GaussianNoise(_Step):
    """x + n, where n ~ N(0, deviation²) at each value."""

    kind: Literal["gaussian"]
    deviation: Level
    """Standard deviation."""


class PoissonNoise(_Step):
    """Shot noise: Poisson(peak x) / peak, whose variance is x / peak."""

    kind: Literal["poisson"]
    peak: Level
    """The mean count at the highest value, 1: the lower, the noisier."""


class SaltAndPepper(_Step):
    """A share of the places, in all channels, is black or white, as likely the one as the other."""

    kind: Literal["salt_and_pepper"]
    share: ShareLevel
    """Share of the places."""


class Speckle(_Step):
    """x (1 + n), where n ~ N(0, deviation²) at each value."""

    kind: Literal["speckle"]
    deviation: Level
    """Standard deviation of the factor."""


class Masking(_Step):
    """A share of the squares that an image is divided into is 0, in all channels: what is missing is to be filled."""

    kind: Literal["masking"]
    share: ShareLevel
    """The probability of a square to be 0."""
    side: Count = 1
    """Pixels along a side of a square."""


class Blur(_Step):
    """A Gaussian filter, with the edge repeated around the image."""

    kind: Literal["blur"]
    deviation: Level
    """Standard deviation of the filter, in pixels."""


class Jpeg(_Step):
    """JPEG and back: values are rounded to 8 bits and clipped first, as the format has them."""

    kind: Literal["jpeg"]
    quality: QualityLevel
    """Quality, 1 to 95, as libjpeg counts it."""


Corruption = Annotated[
    GaussianNoise | PoissonNoise | SaltAndPepper | Speckle | Masking | Blur | Jpeg, Field(discriminator="kind")
]


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
    def told(self) -> str:
        """The task in a sentence."""
        steps = "; ".join(step.told for step in self.corruption)
        aim = "explained the clean ones" if self.mode == "supervised" else "saw no clean one"
        return f"It was given corrupted images ({steps}) and {aim}."


def denoising_fits(denoise: Denoise | None, data: Data, model: AnyModel) -> None:
    """Refuse data and likelihoods that can't be denoised.

    Raises:
        ValueError: something doesn't go with the section; the message says what to take.
    """
    if denoise is None:
        return
    if kind_of(data) != "image":
        raise ValueError(f"train.denoise is for images, and data.kind is {data.kind}: set it to null")
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
    if not isinstance(likelihood, GaussianLikelihood) or likelihood.scale != deviation:
        raise ValueError(
            "train.denoise.mode noisy_only takes the likelihood for the noise: set model.likelihood.kind to "
            f"gaussian, and its scale to {deviation:g}, which is the noise's deviation"
        )
