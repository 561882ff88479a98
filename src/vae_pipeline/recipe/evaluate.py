"""What is measured, and what is exported."""

from typing import Literal

from pydantic import model_validator

from vae_pipeline.recipe.section import Count, Finite, Positive, Section

METRICS = Literal[
    "elbo",
    "distortion",
    "rate",
    "bits_per_dimension",
    "importance_bound",
    "active_units",
    "mse",
    "psnr",
    "ssim",
]


class Gate(Section):
    """Bounds that a metric must keep."""

    min: Finite | None = None
    max: Finite | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> "Gate":
        if self.min is None and self.max is None:
            raise ValueError("a gate needs min or max")
        return self


class Evaluate(Section):
    """What is measured on the test set."""

    samples: Count
    """K of the importance bound."""
    examples: Count | None
    """Test examples for the importance bound; all if null."""
    gates: dict[METRICS, Gate]


class Export(Section):
    """The ONNX bundle."""

    tolerance: Positive
    """Largest |difference| of a graph's answer from the model's, relative to 1 + |answer|, with values of the data
    taken on [0, 1]."""
    licence: str
    intended_use: str
