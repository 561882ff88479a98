"""The section `detection`: the score by which anomalies are told from what is normal."""

from typing import Literal

from vae_pipeline.recipe.section import Count, Place, Section, later

Score = Literal[
    "negative_elbo",
    "reconstruction_error",
    "reconstruction_probability",
    "importance_bound",
    "rate",
    "mahalanobis",
    "hottest_part",
    "rank_ensemble",
    "neighbour_ensemble",
]

Contributions = Literal["distortion", "left_out"]


class DetectionSection(Section):
    """The score of an example, and what it is calibrated on: the validation part."""

    score: Score
    """The kind of score, high where an example is unlikely; docs/models/detection.md has the equations."""
    draws: Count
    """Draws of z, the same for every example; a score is over all of them."""
    collected: str | None
    """The time when the data were collected, in words; the bundle repeats it beside the threshold."""
    segment: Place | None = later(None)
    """The column of categories or booleans whose values have a threshold each; of a conditional model of something else
    than a table, `label`. Null, which isn't stored, for one threshold."""
    contributions: Contributions = later("distortion")
    """The nats that are told of each column of a table: those of its `distortion`, or those by which the row is
    likelier with it `left_out`, which name a wrong value more often, and take a pass through the model for each."""
