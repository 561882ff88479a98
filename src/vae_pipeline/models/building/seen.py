"""The side of an observation that nets and likelihood are built for: its scaled values."""

from dataclasses import dataclass
from typing import Literal

from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.models.scaling import AnyScaling, Scaling
from vae_pipeline.system.errors import RecipeError


@dataclass(frozen=True)
class Seen:
    """Scaled values, on [0, 1] unless they are features, and what gave them."""

    scaling: AnyScaling
    event_shape: tuple[int, ...]
    """Their shape."""
    about: Literal["images", "waveforms", "spectrograms", "features"]
    whole: int | None = None
    """The number of levels of raw values that are whole numbers; None where they are real."""

    @classmethod
    def of_images(cls, spec: ImageSpec) -> "Seen":
        """Images are seen as they are."""
        whole = round(spec.high - spec.low) + 1 if spec.dtype == "uint8" else None
        return cls(Scaling(spec.low, spec.high), spec.event_shape, "images", whole)

    def levels(self, kind: str) -> int:
        """The number of whole numbers, which a likelihood of that kind wants.

        Raises:
            RecipeError: the values are none.
        """
        if self.whole is None:
            raise RecipeError(
                f"model.likelihood.kind {kind} gives probabilities to whole numbers, but the data are real: give uint8 "
                "images, or take gaussian or laplace"
            )
        return self.whole

    def refused(self, part: str, kind: str, wanted: str) -> RecipeError:
        """The error of a part of the model that is of something else."""
        return RecipeError(f"model.{part}.kind {kind} is of {wanted}, but the data are {self.about}")
