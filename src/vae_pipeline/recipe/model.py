"""The section `model`: encoder, posterior, prior, decoder, likelihood."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from vae_pipeline.recipe.section import Activation, Count, Layers, Positive, Section

Share = Annotated[float, Field(ge=0, lt=1)]
Scale = Positive | Literal["learned", "learned_per_channel", "per_element", "optimal"]
Mean = Literal["linear", "sigmoid"]


class DenseNet(Section):
    """Fully connected layers, in the order in which they are passed."""

    kind: Literal["dense"]
    layers: Layers
    activation: Activation


class ConvolutionNet(Section):
    """Convolutions of stride 2, in the order in which they are passed (a decoder's: transposed)."""

    kind: Literal["convolution"]
    channels: Layers
    activation: Activation
    smallest: Count | None = None
    """Layers at the small end that would bring a side of the map under this are left out, so that one recipe serves
    images of any size; if None, all are passed."""
    shortcut: bool = False
    """A linear way past the convolutions, whose normalisation hides how bright an image is and how strong its
    contrasts: an encoder's features include averages of the image, 8x8 at most, and a decoder adds a linear function of
    z to the image."""


Cell = Literal["lstm", "gru"]


class RecurrentEncoder(Section):
    """One layer of recurrent cells over the tokens of a sentence; features are its last state."""

    kind: Literal["recurrent"]
    cell: Cell
    embedding: Count
    """Numbers that a token is embedded in."""
    width: Count
    """Units of the layer."""
    bidirectional: bool
    """True if a second layer goes from the end to the start."""


class RecurrentDecoder(Section):
    """One layer of recurrent cells, given the token before; z is in its first state and in every input."""

    kind: Literal["recurrent"]
    cell: Cell
    embedding: Count
    width: Count
    dropout: Share
    """Share of the numbers of embeddings and states that are left out in training, the same ones at each token."""
    word_dropout: Share
    """Share of the given tokens that are made unknown in training, so that z has to tell them."""
    latents: Literal["used", "cut"]
    """`cut`: neither z nor x reaches it; what is left is a language model, to compare with."""


EncoderNet = Annotated[DenseNet | ConvolutionNet | RecurrentEncoder, Field(discriminator="kind")]
DecoderNet = Annotated[DenseNet | ConvolutionNet | RecurrentDecoder, Field(discriminator="kind")]


class GaussianPosterior(Section):
    """Diagonal Gaussian q(z|x)."""

    kind: Literal["gaussian"]
    latents: Count


class NormalisedPosterior(Section):
    """Diagonal Gaussian whose means are normalised over the batch, so that no dimension can collapse."""

    kind: Literal["normalised_gaussian"]
    latents: Count
    spread: Positive
    """Standard deviation of the means over the data: the rate is at least latents * spread² / 2."""


class FullPosterior(Section):
    """Gaussian q(z|x) with a full covariance."""

    kind: Literal["full_gaussian"]
    latents: Count


class FlowPosterior(Section):
    """A diagonal Gaussian passed through affine coupling layers that see the encoder's features."""

    kind: Literal["coupling_flow"]
    latents: Annotated[Count, Field(ge=2)]
    layers: Count
    width: Count
    """Hidden units of each coupling layer's network."""


Posterior = Annotated[
    GaussianPosterior | NormalisedPosterior | FullPosterior | FlowPosterior, Field(discriminator="kind")
]


class StandardNormalPrior(Section):
    """p(z) = N(0, I)."""

    kind: Literal["standard_normal"]


class MixturePrior(Section):
    """A mixture of diagonal Gaussians, learned with the model."""

    kind: Literal["mixture"]
    components: Count


class VampPrior(Section):
    """The mixture of the posteriors of observations that are learned with the model (pseudo-inputs)."""

    kind: Literal["vamp"]
    components: Count


Prior = Annotated[StandardNormalPrior | MixturePrior | VampPrior, Field(discriminator="kind")]


class BernoulliLikelihood(Section):
    """Bernoulli p(x|z) from logits; on grey pixels its log is a cross-entropy, and is reported as such."""

    kind: Literal["bernoulli"]


class GaussianLikelihood(Section):
    """Gaussian p(x|z) on values scaled to [0, 1]; the scale is a number, learned, or the optimal one."""

    kind: Literal["gaussian"]
    scale: Scale
    mean: Mean
    """`sigmoid` keeps it within [0, 1]: sharper, where many values are near either end."""


class LaplaceLikelihood(Section):
    """Laplace p(x|z) on values scaled to [0, 1], with the scales that a Gaussian may have."""

    kind: Literal["laplace"]
    scale: Scale
    mean: Mean


class StudentTLikelihood(Section):
    """Student's t p(x|z) on values scaled to [0, 1], with the scales that a Gaussian may have: heavier in its tails."""

    kind: Literal["student_t"]
    scale: Scale
    mean: Mean
    degrees: Annotated[float, Field(gt=0, le=1000)] | Literal["learned"]
    """Degrees of freedom: the fewer, the heavier the tails, from Cauchy's at 1 to nearly a Gaussian's at 1000. Learned
    ones are over 1."""


ContinuousLikelihood = GaussianLikelihood | LaplaceLikelihood | StudentTLikelihood
"""Likelihoods of a location and a scale that aren't rounded."""


class DiscretisedLikelihood(Section):
    """A Gaussian or Laplace variable rounded to whole numbers (uint8 data), tails at the ends: a true probability."""

    kind: Literal["discretised_gaussian", "discretised_laplace"]
    scale: Positive | Literal["learned", "learned_per_channel", "per_element"]
    mean: Mean
    """`linear` may lie beyond either end, so that black or white is as sure as can be; inside the range, which
    `sigmoid` keeps it to, an end level gets about half of the mass at most."""


class LogisticLikelihood(Section):
    """Mixture of logistic distributions over whole numbers (uint8 data): a true probability."""

    kind: Literal["discretised_logistic"]
    components: Count


class CategoricalLikelihood(Section):
    """A probability of its own for every whole number from the data's lowest to its highest."""

    kind: Literal["categorical"]


class MixedLikelihood(Section):
    """The columns of a table, each of its own family: Gaussian numbers, Bernoulli booleans, categorical categories."""

    kind: Literal["mixed"]
    scale: Literal["learned_per_column", "per_element"]
    """The scale of numbers, on scaled values: one a column, or one that the decoder gives for each row and column."""
    numbers: Literal["gaussian", "student_t"] = Field("gaussian", exclude_if=lambda numbers: numbers == "gaussian")
    """The family of numbers and dates: of `student_t`, whose degrees of freedom are learned, one a column, a number far
    off costs its logarithm and not its square. The default isn't stored, so that a recipe keeps its digest."""
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


class Model(Section):
    """Encoder, posterior, prior, decoder, likelihood."""

    encoder: EncoderNet
    posterior: Posterior
    prior: Prior
    decoder: DecoderNet
    likelihood: Likelihood
    conditional: bool
    """True if the label is one more input of encoder and decoder."""

    @model_validator(mode="after")
    def _parts_agree(self) -> "Model":
        if self.conditional and isinstance(self.prior, VampPrior):
            raise ValueError("a vamp prior has no labels to condition on: set conditional: false, or another prior")
        if isinstance(self.prior, VampPrior) and not isinstance(self.posterior, GaussianPosterior):
            raise ValueError("a vamp prior is a mixture of posteriors of kind gaussian")
        match self.likelihood, self.decoder:
            case AutoregressiveLikelihood(output=FullOutput(tied=True)), RecurrentDecoder() as decoder:
                if decoder.width != decoder.embedding:
                    raise ValueError(
                        "likelihood.output.tied takes the embedding for the output, but the decoder's width is "
                        f"{decoder.width} and its embedding {decoder.embedding}: make them equal"
                    )
        return self


class Level(Section):
    """A level of a ladder: a map of features, and latents at each place of it."""

    stride: Count
    """The factor by which the map's height and width are smaller than those of the level below, or of the image; one as
    large as these, or larger, gives a map of 1 x 1, which is a dense level."""
    channels: Count
    latents: Count
    """Latents at each place of the map."""
    blocks: Count
    """Residual blocks, in the encoder, in the decoder and in the posterior's head alike."""


class Ladder(Section):
    """Levels of latents, each inferred from the observation and the levels above it; p(z) = N(0, I)."""

    kind: Literal["ladder"]
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    """Topmost first, as in z."""
    activation: Activation
    likelihood: Likelihood
    conditional: bool
    """True if the label is one more input of encoder and decoder."""


def _which(model: Any) -> str:
    """The section that is meant: a model without a kind is made of parts."""
    return "ladder" if isinstance(model, Ladder) or (isinstance(model, dict) and "kind" in model) else "Model"


AnyModel = Annotated[Annotated[Model, Tag("Model")] | Annotated[Ladder, Tag("ladder")], Discriminator(_which)]
