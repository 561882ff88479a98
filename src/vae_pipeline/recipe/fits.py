"""The models, samplers and scores that go with a kind of observation."""

from typing import assert_never

from vae_pipeline.recipe.data import Data, DrawnSentencesData, Kind, TextData, kind_of
from vae_pipeline.recipe.detection import DetectionSection
from vae_pipeline.recipe.model import (
    AdaptiveOutput,
    AnyModel,
    AutoregressiveLikelihood,
    ContinuousLikelihood,
    ConvolutionNet,
    DecoderNet,
    DenseNet,
    EncoderNet,
    FrameNet,
    HogView,
    Ladder,
    LogGradientView,
    MixedLikelihood,
    Model,
    OnnxView,
    RecurrentDecoder,
    RecurrentEncoder,
    ResidualFrames,
    ResidualNet,
    SoundView,
    SpatialPosterior,
    SpectrogramView,
    VampPrior,
    WaveformNet,
    WaveformView,
)
from vae_pipeline.recipe.sampler import Among, Sampler
from vae_pipeline.recipe.tokenizer import BytePairs, Words


def fits(data: Data, model: AnyModel, sampler: Sampler, detection: DetectionSection | None) -> None:
    """Refuse what doesn't go with the data's kind.

    Raises:
        ValueError: something doesn't; the message says what to take.
    """
    kind = kind_of(data)
    if kind != "audio":
        _refuse_sound(kind, model)
    match kind:
        case "image":
            _refuse_recurrent(data, model)
            _refuse_scores(model, detection)
            _require_labels(model, detection)
            if isinstance(model.likelihood, MixedLikelihood):
                raise ValueError(f"model.likelihood.kind mixed is for the columns of a table; data.kind is {data.kind}")
        case "audio":
            _refuse_recurrent(data, model)
            _refuse_scores(model, detection)
            _require_labels(model, detection)
            _audio_fits(model, sampler, detection)
        case "table":
            _refuse_recurrent(data, model)
            _table_fits(model, detection)
            _counts_fit(data, model)
        case "text":
            _text_fits(data, model, sampler, detection)
        case _:
            assert_never(kind)


def _refuse_sound(kind: Kind, model: AnyModel) -> None:
    if model.view is not None and (kind != "image" or isinstance(model.view, SoundView)):
        raise ValueError(
            f"model.view.kind {model.view.kind} is of {'sound' if isinstance(model.view, SoundView) else 'images'}, "
            f"and the data are of the kind {kind}: leave it out"
        )
    for net in _nets(model):
        if isinstance(net, WaveformNet | FrameNet | ResidualFrames):
            raise ValueError(f"nets of kind {net.kind} are of sound, and the data are of the kind {kind}: take others")


def _refuse_scores(model: AnyModel, detection: DetectionSection | None) -> None:
    if detection is not None and detection.score == "neighbour_ensemble":
        raise ValueError(
            "detection.score neighbour_ensemble is of the rows of a table, and the data are none: take "
            "negative_elbo or another"
        )
    if detection is not None and detection.contributions == "left_out":
        raise ValueError(
            "detection.contributions left_out is of the columns of a table, and the data are none: set it to distortion"
        )
    whole = detection is not None and detection.score == "mahalanobis"
    if whole and isinstance(model, Model) and isinstance(model.posterior, SpatialPosterior):
        raise ValueError(
            "detection.score mahalanobis wants the covariance of all latents, and a map has too many: take "
            "negative_elbo or another"
        )


def _require_labels(model: AnyModel, detection: DetectionSection | None) -> None:
    if detection is None or detection.segment is None:
        return
    if detection.segment != "label" or not model.conditional:
        raise ValueError(
            f"detection.segment {detection.segment} names a column, which tables alone have: set it to label, with "
            "model.conditional: true, or to null"
        )


def _nets(model: AnyModel) -> tuple[EncoderNet | DecoderNet, ...]:
    return () if isinstance(model, Ladder) else (model.encoder, model.decoder)


def _refuse_recurrent(data: Data, model: AnyModel) -> None:
    nets = isinstance(model, Model) and (
        isinstance(model.encoder, RecurrentEncoder) or isinstance(model.decoder, RecurrentDecoder)
    )
    if nets or isinstance(model.likelihood, AutoregressiveLikelihood):
        raise ValueError(
            f"recurrent nets and a likelihood of kind autoregressive are for sentences; data.kind is {data.kind}"
        )


def _audio_fits(model: AnyModel, sampler: Sampler, detection: DetectionSection | None) -> None:
    through: tuple[type, ...]
    match model.view:
        case WaveformView():
            through, kinds = (DenseNet, WaveformNet), "dense and residual_1d"
        case SpectrogramView():
            through = (DenseNet, ConvolutionNet, ResidualNet, FrameNet, ResidualFrames)
            kinds = "dense, convolution, residual, recurrent_frames and residual_frames"
        case None:
            raise ValueError(
                "sound needs model.view: {kind: waveform}, or {kind: spectrogram, frame: 256, hop: 64} with frame and "
                "hop in samples"
            )
        case HogView() | LogGradientView() | OnnxView():
            raise ValueError(f"model.view.kind {model.view.kind} is of images; for sound take spectrogram or waveform")
        case _:
            assert_never(model.view)
    for net in _nets(model):
        if not isinstance(net, through):
            raise ValueError(f"model.view.kind {model.view.kind} goes with nets of kind {kinds}; given {net.kind}")
    if isinstance(model, Ladder) and isinstance(model.view, WaveformView):
        raise ValueError("a ladder's levels are maps, and model.view.kind waveform gives none: take spectrogram")
    spatial = isinstance(model, Model) and isinstance(model.posterior, SpatialPosterior)
    if spatial and not any(isinstance(net, ResidualFrames) for net in _nets(model)):
        raise ValueError(
            "of sound, a map of latents needs nets of kind residual_frames: take them, or model.posterior.kind gaussian"
        )

    if not isinstance(model.likelihood, ContinuousLikelihood):
        raise ValueError(
            f"model.likelihood.kind {model.likelihood.kind} is of whole numbers, of a few values or of columns: for "
            "sound take gaussian, laplace or student_t"
        )
    if detection is not None and detection.score == "hottest_part":
        raise ValueError("detection.score hottest_part is for images; for sound take negative_elbo or another")
    if sampler == "auto" or isinstance(sampler, Among):
        raise ValueError("sampler: auto compares features of images; for sound take prior, mixture or another")


def _table_fits(model: AnyModel, detection: DetectionSection | None) -> None:
    if detection is not None and detection.score == "hottest_part":
        raise ValueError("detection.score hottest_part is for images; for a table take negative_elbo or another")
    if not isinstance(model.likelihood, MixedLikelihood):
        raise ValueError("a table needs model.likelihood.kind mixed, which has a family for each kind of column")
    nets = isinstance(model, Model) and isinstance(model.encoder, DenseNet) and isinstance(model.decoder, DenseNet)
    if not nets or (isinstance(model, Model) and isinstance(model.prior, VampPrior)):
        raise ValueError("a table needs an encoder and a decoder of kind dense, and a prior other than vamp")
    if any(isinstance(net, DenseNet) and net.shortcut for net in _nets(model)):
        raise ValueError("the shortcut of dense nets is for images and sound; for a table leave it out")


def _counts_fit(data: Data, model: AnyModel) -> None:
    named = getattr(data, "counts", None) is not None
    told = isinstance(model.likelihood, MixedLikelihood) and model.likelihood.counts is not None
    if told and not named:
        raise ValueError(
            "model.likelihood.counts is a family of counts, and data.counts names none: set it to all, or names"
        )
    if named and not told:
        raise ValueError(
            "data.counts names columns, and model.likelihood.counts no family for them: set it to {family: "
            "negative_binomial, library: false}, or leave data.counts out"
        )


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
