"""The section `private` of `train`: what one row can change of a model is bounded, and hidden by noise."""

from typing import Annotated

from pydantic import Field

from vae_pipeline.recipe.section import Positive, Section, SomeFraction


class Private(Section):
    """Training by DP-SGD, which is (epsilon, delta)-differentially private for each row of the training part.

    Source: Abadi, Chu, Goodfellow, McMahan, Mironov, Talwar and Zhang, Deep Learning with Differential Privacy, 2016.
    """

    epsilon: Annotated[float, Field(gt=0, le=100)]
    """The most that the run may spend: whatever is made of the model, adding or removing one row changes no event's
    probability by more than a factor of exp(epsilon), but for delta. The noise is the least that keeps it."""
    delta: SomeFraction = 1e-5
    """The probability for which the factor may be exceeded; under 1 / the number of training rows."""
    clip: Positive = 1.0
    """The largest norm of a single row's gradient, to which longer ones are shortened."""
