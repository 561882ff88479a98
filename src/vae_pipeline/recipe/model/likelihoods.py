"""The likelihood p(x|z)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vae_pipeline.recipe.section import Count, Layers, Positive, Section, later

Scale = Positive | Literal["learned", "learned_per_channel", "learned_per_value", "per_element", "optimal"]
Mean = Literal["linear", "sigmoid"]


class BernoulliLikelihood(Section):
    """Bernoulli p(x|z) from logits; on grey pixels its log is a cross-entropy, and is reported as such."""

    kind: Literal["bernoulli"]


class GaussianLikelihood(Section):
    """Gaussian p(x|z) on values scaled to [0, 1]; the scale is a number, learned, or the optimal one."""

    kind: Literal["gaussian"]
    scale: Scale
    """Standard deviation: a number; `learned`, one for all values, one a channel or one for each value of an
    observation; `per_element`, which the decoder gives; or `optimal`, the likeliest of each batch."""
    mean: Mean
    """`sigmoid` keeps it within [0, 1]: sharper, where many values are near either end."""


class LaplaceLikelihood(Section):
    """Laplace p(x|z) on values scaled to [0, 1], with the scales that a Gaussian may have."""

    kind: Literal["laplace"]
    scale: Scale
    """Mean distance from the centre, as a Gaussian's scale."""
    mean: Mean
    """`linear`, or within [0, 1] by `sigmoid`: with it, the sharpest edges."""


class StudentTLikelihood(Section):
    """Student's t p(x|z) on values scaled to [0, 1], with the scales that a Gaussian may have: heavier in its tails."""

    kind: Literal["student_t"]
    scale: Scale
    """The scales that a Gaussian may have."""
    mean: Mean
    """`linear`, or within [0, 1] by `sigmoid`."""
    degrees: Annotated[float, Field(gt=0, le=1000)] | Literal["learned"]
    """Degrees of freedom: the fewer, the heavier the tails, from Cauchy's at 1 to nearly a Gaussian's at 1000. Learned
    ones are over 1."""


ContinuousLikelihood = GaussianLikelihood | LaplaceLikelihood | StudentTLikelihood
"""Likelihoods of a location and a scale that aren't rounded."""


class DiscretisedLikelihood(Section):
    """A Gaussian or Laplace variable rounded to whole numbers (uint8 data), tails at the ends: a true probability."""

    kind: Literal["discretised_gaussian", "discretised_laplace"]
    scale: Positive | Literal["learned", "learned_per_channel", "per_element"]
    """Scale before rounding: a number, `learned`, one a channel, or `per_element`, which the decoder gives."""
    mean: Mean
    """`linear` may lie beyond either end, so that black or white is as sure as can be; inside the range, which
    `sigmoid` keeps it to, an end level gets about half of the mass at most."""


class LogisticLikelihood(Section):
    """Mixture of logistic distributions over whole numbers (uint8 data): a true probability."""

    kind: Literal["discretised_logistic"]
    components: Count
    """Logistic distributions for each value."""


class CategoricalLikelihood(Section):
    """A probability of its own for every whole number from the data's lowest to its highest."""

    kind: Literal["categorical"]


class CountsFamily(Section):
    """The columns that `data.counts` names: whole numbers from 0 up, of a true probability."""

    family: Literal["poisson", "negative_binomial", "zero_inflated_poisson", "zero_inflated_negative_binomial"]
    """`poisson`, whose variance is its mean; `negative_binomial`, whose variance is mean + mean² / θ, with a θ that is
    learned as `scale` says; and either with zeros beyond those that it expects."""
    library: bool
    """True if the total of a row's counts is taken as given, as sequencing's depth is, and the decoder says how it is
    shared out among the columns. A new row has a total of the training part's distribution."""


class MixedLikelihood(Section):
    """The columns of a table, each of its own family: Gaussian numbers, Bernoulli booleans, categorical categories."""

    kind: Literal["mixed"]
    scale: Literal["learned_per_column", "per_element"]
    """The scale of numbers, on scaled values: one a column, or one that the decoder gives for each row and column."""
    numbers: Literal["gaussian", "student_t", "histogram"] = later("gaussian")
    """The family of numbers and dates: of `student_t`, whose degrees of freedom are learned, one a column, a number far
    off costs its logarithm and not its square. `histogram` has a probability for each of the cells that `data.cells`
    sorts a column's numbers into, so that they may have any distribution: several modes, a spike at nought, steps. The
    default isn't stored, so that a recipe keeps its digest."""
    counts: CountsFamily | None = later(None)
    """The family of the columns that `data.counts` names; null, which isn't stored, where it names none."""
    bounds: Literal["none", "observed"] = later("none")
    """`observed`: numbers that are drawn lie between the least and the greatest of the training part."""
    shares: Literal["decoded", "matched"] = later("decoded")
    """`matched`: drawn rows have each class, each cell and each gap as often as the training part has them, by an
    offset of the decoder's logits. It is found after training, with the sampler, and nothing but draws has it."""
    missing: Literal["given", "modelled"] = "given"
    """`given`: a gap adds nothing, so that a row that lacks much looks likely. `modelled`: a gap is as unlikely as it
    is rare beside what is there."""


class FullOutput(Section):
    """A linear layer that gives each token its log-odds."""

    kind: Literal["full"]
    tied: bool
    """True if its weights are the decoder's embedding, which then is as wide as the layer."""


class AdaptiveOutput(Section):
    """Log-odds of the frequent tokens, and of groups of rarer ones, within which narrower layers go on: exact, and
    several times as fast where the vocabulary is large. It wants ids in the order of frequency, as words have them."""

    kind: Literal["adaptive"]
    cutoffs: Layers
    """Rising: the first group are the ids before the first cutoff, ..., the last those from the last cutoff on."""

    @model_validator(mode="after")
    def _rising(self) -> "AdaptiveOutput":
        if list(self.cutoffs) != sorted(set(self.cutoffs)):
            raise ValueError(f"cutoffs are {list(self.cutoffs)}; wanted numbers that rise")
        return self


class AutoregressiveLikelihood(Section):
    """Sentences: the probability of each token given those before it and z; a true probability of the whole."""

    kind: Literal["autoregressive"]
    output: Annotated[FullOutput | AdaptiveOutput, Field(discriminator="kind")]
    """The layer that turns a state into the log-odds of the next token."""


Likelihood = Annotated[
    BernoulliLikelihood
    | GaussianLikelihood
    | LaplaceLikelihood
    | StudentTLikelihood
    | DiscretisedLikelihood
    | LogisticLikelihood
    | CategoricalLikelihood
    | MixedLikelihood
    | AutoregressiveLikelihood,
    Field(discriminator="kind"),
]
