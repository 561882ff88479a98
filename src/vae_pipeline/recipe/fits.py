"""The models, samplers and scores that go with a kind of observation."""

from typing import assert_never

from vae_pipeline.recipe.data import Data, DrawnSentencesData, Kind, TextData, kind_of
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.recipe.model import (
    AdaptiveOutput,
    AnyModel,
    AutoregressiveLikelihood,
    DenseNet,
    FrameNet,
    Ladder,
    MixedLikelihood,
    Model,
    RecurrentDecoder,
    RecurrentEncoder,
    SpatialPosterior,
    VampPrior,
    WaveformNet,
)
from vae_pipeline.recipe.sampler import Among, Sampler
from vae_pipeline.recipe.tokenizer import BytePairs, Words


def fits(data: Data, model: AnyModel, sampler: Sampler, detection: DetectionSection | None) -> None:
    """Refuse what doesn't go with the data's kind.

    Raises:
        ValueError: something doesn't; the message says what to take.
    """
    kind = kind_of(data)
    _view_fits(kind, model)
    match kind:
        case "image":
            _refuse_recurrent(data, model)
            whole = detection is not None and detection.score == "mahalanobis"
            if whole and isinstance(model, Model) and isinstance(model.posterior, SpatialPosterior):
                raise ValueError(
                    "detection.score mahalanobis wants the covariance of all latents, and a map has too many: take "
                    "negative_elbo or another"
                )
            if isinstance(model.likelihood, MixedLikelihood):
                raise ValueError(f"model.likelihood.kind mixed is for the columns of a table; data.kind is {data.kind}")
        case "audio":
            _refuse_recurrent(data, model)
            _audio_fits(model, sampler, detection)
        case "table":
            _refuse_recurrent(data, model)
            _table_fits(model, sampler, detection)
        case "text":
            _text_fits(data, model, sampler, detection)
        case _:
            assert_never(kind)


def _view_fits(kind: Kind, model: AnyModel) -> None:
    """Nets of sound go with a view, and that with sound; the builder knows which net goes through which view."""
    if model.view is not None:
        raise ValueError(f"model.view is of sound, and the data are of the kind {kind}: leave it out")
    for part in () if isinstance(model, Ladder) else (model.encoder, model.decoder):
        if isinstance(part, WaveformNet | FrameNet):
            raise ValueError(f"nets of kind {part.kind} are of sound, and the data are of the kind {kind}: take others")


def _refuse_recurrent(data: Data, model: AnyModel) -> None:
    nets = isinstance(model, Model) and (
        isinstance(model.encoder, RecurrentEncoder) or isinstance(model.decoder, RecurrentDecoder)
    )
    if nets or isinstance(model.likelihood, AutoregressiveLikelihood):
        raise ValueError(
            f"recurrent nets and a likelihood of kind autoregressive are for sentences; data.kind is {data.kind}"
        )


def _audio_fits(model: AnyModel, sampler: Sampler, detection: DetectionSection | None) -> None:
    if isinstance(model.likelihood, MixedLikelihood):
        raise ValueError(
            "model.likelihood.kind mixed is for the columns of a table: for sound take gaussian or another"
        )
    if detection is not None and detection.score == "hottest_part":
        raise ValueError("detection.score hottest_part is for images; for sound take negative_elbo or another")
    if sampler == "auto" or isinstance(sampler, Among):
        raise ValueError("sampler: auto compares features of images; for sound take prior, mixture or another")


def _table_fits(model: AnyModel, sampler: Sampler, detection: DetectionSection | None) -> None:
    if detection is not None and detection.score == "hottest_part":
        raise ValueError("detection.score hottest_part is for images; for a table take negative_elbo or another")
    if not isinstance(model.likelihood, MixedLikelihood):
        raise ValueError("a table needs model.likelihood.kind mixed, which has a family for each kind of column")
    nets = isinstance(model, Model) and isinstance(model.encoder, DenseNet) and isinstance(model.decoder, DenseNet)
    if not nets or (isinstance(model, Model) and isinstance(model.prior, VampPrior)):
        raise ValueError("a table needs an encoder and a decoder of kind dense, and a prior other than vamp")
    if sampler == "auto" or isinstance(sampler, Among):
        raise ValueError("sampler: auto compares features of images; for a table take prior, mixture or another")


def _text_fits(data: Data, model: AnyModel, sampler: Sampler, detection: DetectionSection | None) -> None:
    if not (
        isinstance(model, Model)
        and isinstance(model.encoder, RecurrentEncoder)
        and isinstance(model.decoder, RecurrentDecoder)
        and isinstance(model.likelihood, AutoregressiveLikelihood)
    ):
        raise ValueError("sentences need an encoder and a decoder of kind recurrent, a likelihood autoregressive")
    if isinstance(model.prior, VampPrior):
        raise ValueError("a vamp prior learns observations, and tokens are whole numbers: take another prior")
    if sampler == "auto" or isinstance(sampler, Among):
        raise ValueError("sampler: auto compares features of images; for sentences take prior, mixture or another")
    if detection is not None:
        raise ValueError("tokens have no mean, with which detection compares a value: set detection to null")
    match data, model.likelihood.output:
        case (
            TextData(tokenizer=Words() | BytePairs() as tokenizer)
            | DrawnSentencesData(tokenizer=Words() | BytePairs() as tokenizer),
            AdaptiveOutput(cutoffs=cutoffs),
        ):
            if cutoffs[-1] >= tokenizer.vocabulary:
                raise ValueError(
                    f"model.likelihood.output.cutoffs are {list(cutoffs)}, but data.tokenizer.vocabulary is "
                    f"{tokenizer.vocabulary}: set them below"
                )
