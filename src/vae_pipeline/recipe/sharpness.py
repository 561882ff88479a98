"""The section `sharpness` of `train`: terms beside the ELBO that make images sharp."""

from typing import Annotated

from pydantic import Field, model_validator

from vae_pipeline.recipe.section import Fraction, Layers, Place, Positive, Section
from vae_pipeline.system.errors import RecipeError

TRAINED, SPECTRAL = "trained", "spectral"
"""The words for features of a network that is trained here, and for magnitudes of spectrograms."""


class Perceptual(Section):
    """A distance of reconstructions from their images in the features of a network, or of sound in spectrograms.

    Source: Zhang, Isola, Efros, Shechtman and Wang, The Unreasonable Effectiveness of Deep Features, 2018.
    """

    weight: Positive
    """The length of the term's gradient at the decoder's output, in lengths of the distortion's."""
    features: Place
    """`trained`, for a small classifier that is trained on the same data first; or an ONNX file, whose graph takes
    images [batch, channels, height, width] on [0, 1] and gives maps of features. Of sound in the view `waveform`:
    `spectral`, for the multi-resolution spectral distance."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The digest that the network must have (of the ONNX file, or of the trained weights), or null for any; `train`
    keeps the one that it found beside the weights."""


class Adversarial(Section):
    """A discriminator of patches that learns to tell reconstructions from images, and that the decoder learns to
    deceive.

    Source: Larsen, Sønderby, Larochelle and Winther, 2016; in this form Esser, Rombach and Ommer, 2021.
    """

    weight: Positive
    """The length of the term's gradient at the decoder's output, in lengths of the distortion's, where the
    discriminator always can tell; the less it can, the shorter, down to nothing at chance."""
    start: Fraction
    """The share of all steps after which the discriminator begins."""
    learning_rate: Positive
    """The discriminator's highest learning rate, which follows the schedule of the model's."""
    channels: Layers
    """The channels of each layer of stride 2, the first being next to the image; the more layers, the larger the
    patches."""
    samples: bool
    """Judge images from draws of the prior too, one for each reconstruction."""


class Sharpness(Section):
    """The terms that a model of images is trained for beside the ELBO."""

    perceptual: Perceptual | None
    """The distance in features, or null."""
    adversarial: Adversarial | None
    """The discriminator, or null."""

    @property
    def network(self) -> str | None:
        """The file of the user's network, if there is one."""
        given = self.perceptual is not None and self.perceptual.features not in (TRAINED, SPECTRAL)
        return self.perceptual.features if self.perceptual is not None and given else None

    @property
    def terms(self) -> tuple[str, ...]:
        """The names of the terms."""
        spectral = self.perceptual is not None and self.perceptual.features == SPECTRAL
        named = {SPECTRAL if spectral else "perceptual": self.perceptual, "adversarial": self.adversarial}
        return tuple(name for name, term in named.items() if term is not None)

    @property
    def told(self) -> str:
        """A sentence on what a model was trained for."""
        terms = []
        if self.perceptual is not None:
            kind = "multi-resolution spectral" if self.perceptual.features == SPECTRAL else "perceptual"
            terms.append(f"a {kind} distance (weight {self.perceptual.weight:g})")
        if self.adversarial is not None:
            begins = f" from {self.adversarial.start:.0%} of the steps on" if self.adversarial.start else ""
            terms.append(f"a discriminator (weight {self.adversarial.weight:g}{begins})")
        return f"It was not trained by the ELBO alone: the decoder followed {' and '.join(terms)} too."

    def pinned(self, sha256: str) -> "Sharpness":
        """The section with the digest of the network that was found.

        Raises:
            RecipeError: it is to have another.
        """
        assert self.perceptual is not None
        if self.perceptual.sha256 not in (None, sha256):
            raise RecipeError(
                f"train.sharpness.perceptual: the network {self.perceptual.features} has the digest {sha256}, and is "
                f"to have {self.perceptual.sha256}: give that file, or set sha256 to null"
            )
        return self.model_copy(update={"perceptual": self.perceptual.model_copy(update={"sha256": sha256})})

    @model_validator(mode="after")
    def _some_term(self) -> "Sharpness":
        if self.perceptual is None and self.adversarial is None:
            raise ValueError(
                "sharpness has neither term: give perceptual or adversarial, or set train.sharpness to null"
            )
        return self
