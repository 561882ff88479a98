"""The sections `evaluate` and `export`."""

from typing import Literal

from pydantic import model_validator

from vae_pipeline.recipe.gates import GateName
from vae_pipeline.recipe.section import Count, Finite, Place, Positive, Section, later

IMPLIED = Literal[
    "too_few_steps",
    "below_baseline",
    "no_active_units",
    "ignored_latents",
    "below_pca",
    "missed_target",
    "not_denoised",
]


class Gate(Section):
    """Bounds that a metric must keep."""

    min: Finite | None = None
    """The least value that passes."""
    max: Finite | None = None
    """The greatest value that passes."""

    @model_validator(mode="after")
    def _some_bound(self) -> "Gate":
        if self.min is None and self.max is None:
            raise ValueError("a gate needs min or max")
        return self


class Evaluate(Section):
    """The measurements on the test set."""

    samples: Count
    """K of the importance bound."""
    examples: Count | None
    """Test examples for the importance bound; all if null."""
    gates: dict[GateName, Gate]
    """Bounds by the key of a figure; {} for none. Where one is broken the report is written and the stage fails."""
    waive: tuple[IMPLIED, ...] = ()
    """The gates that stand without being named in `gates`, and that this recipe does without."""
    privacy: bool = later(False)
    """True for an audit of images: are samples nearer to training images than to test images, and can the two be told
    apart by the distance to the nearest sample, or by the model's bound? Its figures may be gates. Rows of a table are
    always asked so."""
    target: Place | None = later(None)
    """The column of a table that classifiers of drawn rows foretell, tried on test rows; null for none."""


class Export(Section):
    """The ONNX bundle."""

    tolerance: Positive
    """Largest |difference| of a graph's answer from the model's, relative to 1 + |answer|, with values of the data
    taken on [0, 1]; of a log-density, relative to the number of its terms + |answer|."""
    licence: str
    """The model's licence, which goes into every graph, bundle.json and the model card."""
    intended_use: str
    """The use that the model is meant for; the model card prints it."""
    draws: bool = later(False)
    """True for graphs that draw images from p(x|z), each with the noise of its likelihood, beside those that give
    means: for `sample --draw`. Rows of a table are always drawn."""
