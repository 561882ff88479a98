"""The section `model`: encoder, posterior, prior, decoder, likelihood."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from vae_pipeline.recipe.model.latents import (
    AnyPrior,
    FiniteScalarPosterior,
    FlowPosterior,
    FullPosterior,
    GaussianPosterior,
    MixturePrior,
    NormalisedPosterior,
    Posterior,
    Prior,
    SpatialGaussianPosterior,
    SpatialPosterior,
    StandardNormalPrior,
    UniformPrior,
    VampPrior,
    VectorPosterior,
)
from vae_pipeline.recipe.model.likelihoods import (
    AdaptiveOutput,
    AutoregressiveLikelihood,
    BernoulliLikelihood,
    CategoricalLikelihood,
    ContinuousLikelihood,
    DiscretisedLikelihood,
    FullOutput,
    GaussianLikelihood,
    LaplaceLikelihood,
    Likelihood,
    LogisticLikelihood,
    MixedLikelihood,
    Scale,
    StudentTLikelihood,
)
from vae_pipeline.recipe.model.nets import (
    Cell,
    ConvolutionNet,
    DecoderNet,
    DenseNet,
    EncoderNet,
    FrameNet,
    RecurrentDecoder,
    RecurrentEncoder,
    ResidualFrames,
    ResidualNet,
    WaveformNet,
)
from vae_pipeline.recipe.model.views import (
    FeatureView,
    HogView,
    LogGradientView,
    OnnxView,
    SoundView,
    SpectrogramView,
    View,
    WaveformView,
)
from vae_pipeline.recipe.section import Activation, Count, Section, later

__all__ = [
    "AdaptiveOutput", "AnyModel", "AnyPrior", "AutoregressiveLikelihood", "BernoulliLikelihood",
    "CategoricalLikelihood", "Cell", "ContinuousLikelihood", "ConvolutionNet", "DecoderNet", "DenseNet",
    "DiscretisedLikelihood", "EncoderNet", "FeatureView", "FiniteScalarPosterior", "FlowPosterior", "FrameNet",
    "FullOutput", "FullPosterior", "GaussianLikelihood", "GaussianPosterior", "HogView", "Ladder",
    "LaplaceLikelihood", "Level", "Likelihood", "LogGradientView", "LogisticLikelihood", "MixedLikelihood",
    "MixturePrior", "Model", "NormalisedPosterior", "OnnxView", "Posterior", "Prior", "RecurrentDecoder",
    "RecurrentEncoder", "ResidualFrames", "ResidualNet", "Scale", "SoundView", "SpatialGaussianPosterior",
    "SpatialPosterior", "SpectrogramView", "StandardNormalPrior", "StudentTLikelihood", "UniformPrior",
    "VampPrior", "VectorPosterior", "View", "WaveformNet", "WaveformView",
]  # fmt: skip


class Model(Section):
    """Encoder, posterior, prior, decoder, likelihood."""

    view: View | None = later(None)
    """The form in which encoder and likelihood see sound, or features of images; null, which isn't stored, of all
    else."""
    encoder: EncoderNet
    """The net from an observation to features."""
    posterior: Posterior
    """The distribution of the latents given an observation."""
    prior: AnyPrior
    """The distribution of the latents before anything is seen."""
    decoder: DecoderNet
    """The net from latents to the parameters of the likelihood."""
    likelihood: Likelihood
    """The distribution of an observation given its latents."""
    conditional: bool
    """True if the label is one more input of encoder and decoder."""

    @model_validator(mode="after")
    def _parts_agree(self) -> "Model":
        _refuse_labelled_vamp(self.conditional, self.prior)
        if isinstance(self.prior, VampPrior) and not isinstance(self.posterior, GaussianPosterior):
            raise ValueError("a vamp prior is a mixture of posteriors of kind gaussian")
        framed = [isinstance(net, ResidualFrames) for net in (self.encoder, self.decoder)]
        if any(framed):
            _require_frames(self.posterior, all(framed))
        elif isinstance(self.posterior, SpatialPosterior):
            if getattr(self.likelihood, "scale", None) == "learned_per_value":
                raise ValueError(
                    "model.likelihood.scale learned_per_value is of images of one size, and latents that are a map "
                    "take any: take learned or learned_per_channel"
                )
            _require_map(self.posterior.kind, self.encoder, self.decoder)
        else:
            _refuse_shortcuts(self.posterior.kind, {"encoder": self.encoder, "decoder": self.decoder})
        if isinstance(self.posterior, FiniteScalarPosterior) != isinstance(self.prior, UniformPrior):
            raise ValueError(
                "a posterior of kind finite_scalar and a prior of kind uniform go together, as both are of codes; they "
                f"are {self.posterior.kind} and {self.prior.kind}"
            )
        ways = [isinstance(net, DenseNet) and net.shortcut for net in (self.encoder, self.decoder)]
        if any(ways) and not all(ways):
            raise ValueError(
                "the shortcut of a dense net is a linear way from end to end: set encoder.shortcut and "
                "decoder.shortcut, both of nets of kind dense, or leave both out"
            )
        match self.likelihood, self.decoder:
            case AutoregressiveLikelihood(output=FullOutput(tied=True)), RecurrentDecoder() as decoder:
                if decoder.width != decoder.embedding:
                    raise ValueError(
                        "likelihood.output.tied takes the embedding for the output, but the decoder's width is "
                        f"{decoder.width} and its embedding {decoder.embedding}: make them equal"
                    )
        return self


def _require_frames(posterior: Posterior, both: bool) -> None:
    if not both or not isinstance(posterior, SpatialGaussianPosterior):
        raise ValueError(
            "nets of kind residual_frames go together, with a posterior of kind spatial_gaussian between them: take "
            "all three, or none"
        )


def _require_map(posterior: str, encoder: EncoderNet, decoder: DecoderNet) -> None:
    wanted = f"model.posterior.kind {posterior} needs an encoder and a decoder of kind residual"
    if not (isinstance(encoder, ResidualNet) and isinstance(decoder, ResidualNet)):
        raise ValueError(f"{wanted}; they are {encoder.kind} and {decoder.kind}")
    if len(encoder.channels) != len(decoder.channels):
        raise ValueError(
            f"{wanted}, of as many levels: the encoder's channels are {len(encoder.channels)}, the decoder's "
            f"{len(decoder.channels)}"
        )


def _refuse_shortcuts(posterior: str, nets: Mapping[str, EncoderNet | DecoderNet]) -> None:
    for name, net in nets.items():
        if isinstance(net, ResidualNet) and net.shortcut:
            raise ValueError(
                f"model.{name}.shortcut of a residual net is for latents that are a map, and model.posterior.kind is "
                f"{posterior}: take spatial_gaussian, or leave it out"
            )


class Level(Section):
    """A level of a ladder: a map of features, and latents at each place of it."""

    stride: Count
    """The factor by which the map's height and width are smaller than those of the level below, or of the image; one as
    large as these, or larger, gives a map of 1 x 1, which is a dense level."""
    channels: Count
    """Channels of the map."""
    latents: Count
    """Latents at each place of the map."""
    blocks: Count
    """Residual blocks, in the encoder, in the decoder and in the posterior's head alike."""
    repeat: Count = later(1)
    """Levels of these sizes on this map, one over the other; the encoder's features are the same for all of them."""
    bottleneck: Count = later(1)
    """The factor by which a block is narrower inside; over 1, its kernel of 3 x 3 lies between two of 1 x 1."""


class Ladder(Section):
    """Levels of latents, each inferred from the observation and the levels above it; p(z) is N(0, I), or learned at the
    top."""

    kind: Literal["ladder"]
    view: View | None = later(None)
    """The form in which encoder and likelihood see sound, or features of images; null, which isn't stored, of all
    else."""
    levels: Annotated[tuple[Level, ...], Field(min_length=1)]
    """Topmost first, as in z."""
    activation: Activation
    """The non-linearity of all blocks."""
    residual: bool = later(False)
    """True if one residual state goes from the top to the bottom: levels on one map have nothing but blocks between
    them, and all that is added to the state begins small. Many levels need it."""
    prior: Prior = later(StandardNormalPrior(kind="standard_normal"))
    """The distribution of the topmost level's latents; those of the others are N(0, I) given the levels above them."""
    likelihood: Likelihood
    """The distribution of an observation given its latents."""
    conditional: bool
    """True if the label is one more input of encoder and decoder."""

    @model_validator(mode="after")
    def _prior_fits(self) -> "Ladder":
        _refuse_labelled_vamp(self.conditional, self.prior)
        return self


def _refuse_labelled_vamp(conditional: bool, prior: AnyPrior) -> None:
    if conditional and isinstance(prior, VampPrior):
        raise ValueError("a vamp prior has no labels to condition on: set conditional: false, or another prior")


def _which(model: Any) -> str:
    """The section that is meant: a model without a kind is made of parts."""
    return "ladder" if isinstance(model, Ladder) or (isinstance(model, dict) and "kind" in model) else "Model"


AnyModel = Annotated[Annotated[Model, Tag("Model")] | Annotated[Ladder, Tag("ladder")], Discriminator(_which)]
