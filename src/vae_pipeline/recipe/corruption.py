"""Corruptions of images, as `train.denoise` names them, and what those of every kind share.

Values are on the scale where the data's range is 1. A level is a number, or a range [lowest, highest] of which each
observation draws its own: a model of a range is blind, as it isn't told the level.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from vae_pipeline.recipe.section import Count, Positive, Section, SomeFraction


def rising(level: object) -> object:
    """Refuse a range whose first end isn't the lower one."""
    if isinstance(level, tuple) and level[0] >= level[1]:
        raise ValueError(f"a range of {level[0]:g} to {level[1]:g} was given; wanted the lower one first")
    return level


Level = Annotated[Positive | tuple[Positive, Positive], AfterValidator(rising)]
ShareLevel = Annotated[SomeFraction | tuple[SomeFraction, SomeFraction], AfterValidator(rising)]
Quality = Annotated[int, Field(ge=1, le=95, strict=True)]
QualityLevel = Annotated[Quality | tuple[Quality, Quality], AfterValidator(rising)]


class CorruptionStep(Section):
    """A corruption, which says itself in words."""

    words: ClassVar[str]
    """The corruption, with the names of its fields in braces."""

    @property
    def told(self) -> str:
        """The corruption with its levels: `Gaussian noise of deviation 0.1 to 0.5`."""
        return self.words.format(**{name: _words(value) for name, value in self.model_dump(exclude={"kind"}).items()})


def _words(level: float | tuple[float, float]) -> str:
    return " to ".join(f"{end:g}" for end in (level if isinstance(level, tuple) else (level,)))


class GaussianNoise(CorruptionStep):
    """x + n, where n ~ N(0, deviation²) at each value."""

    words = "Gaussian noise of deviation {deviation}"
    kind: Literal["gaussian"]
    deviation: Level
    """Standard deviation."""


class PoissonNoise(CorruptionStep):
    """Shot noise: Poisson(peak x) / peak, whose variance is x / peak."""

    words = "shot noise of a peak of {peak} counts"
    kind: Literal["poisson"]
    peak: Level
    """The mean count at the highest value, 1: the lower, the noisier."""


class SaltAndPepper(CorruptionStep):
    """A share of the places, in all channels, is black or white, as likely the one as the other."""

    words = "salt and pepper on a share of {share} of the pixels"
    kind: Literal["salt_and_pepper"]
    share: ShareLevel
    """Share of the places."""


class Speckle(CorruptionStep):
    """x (1 + n), where n ~ N(0, deviation²) at each value."""

    words = "speckle of deviation {deviation}"
    kind: Literal["speckle"]
    deviation: Level
    """Standard deviation of the factor."""


class Masking(CorruptionStep):
    """A share of the squares that an image is divided into is 0, in all channels: what is missing is to be filled."""

    words = "squares masked, a share of {share}, of side {side}"
    kind: Literal["masking"]
    share: ShareLevel
    """The probability of a square to be 0."""
    side: Count = 1
    """Pixels along a side of a square."""


class Blur(CorruptionStep):
    """A Gaussian filter, with the edge repeated around the image."""

    words = "blur of deviation {deviation} pixels"
    kind: Literal["blur"]
    deviation: Level
    """Standard deviation of the filter, in pixels."""


class Jpeg(CorruptionStep):
    """JPEG and back: values are rounded to 8 bits and clipped first, as the format has them."""

    words = "JPEG of quality {quality}"
    kind: Literal["jpeg"]
    quality: QualityLevel
    """Quality, 1 to 95, as libjpeg counts it."""


ImageCorruption = Annotated[
    GaussianNoise | PoissonNoise | SaltAndPepper | Speckle | Masking | Blur | Jpeg, Field(discriminator="kind")
]
