"""From a recipe's model section and a DataSpec to a VAE; configuration goes no further than here."""

from typing import assert_never

from torch import nn

from vae_pipeline.kinds.spec import Column, DataSpec, ImageSpec, TableSpec, TextSpec
from vae_pipeline.models import posteriors, priors, vocabulary
from vae_pipeline.models.ladder import LadderVAE
from vae_pipeline.models.likelihoods import Likelihood
from vae_pipeline.models.likelihoods.autoregressive import AutoregressiveLikelihood
from vae_pipeline.models.likelihoods.bernoulli import BernoulliLikelihood
from vae_pipeline.models.likelihoods.categorical import CategoricalLikelihood
from vae_pipeline.models.likelihoods.discretised import DiscretisedLikelihood, LaplaceTail, NormalTail
from vae_pipeline.models.likelihoods.gaussian import GaussianLikelihood
from vae_pipeline.models.likelihoods.laplace import LaplaceLikelihood
from vae_pipeline.models.likelihoods.layout import Kind, Layout
from vae_pipeline.models.likelihoods.logistic import LogisticLikelihood
from vae_pipeline.models.likelihoods.mixed import MixedLikelihood
from vae_pipeline.models.likelihoods.student_t import StudentTLikelihood
from vae_pipeline.models.nets.columns import ColumnEncoder
from vae_pipeline.models.nets.convolution import ConvolutionDecoder, ConvolutionEncoder, fitting
from vae_pipeline.models.nets.dense import DenseDecoder, DenseEncoder
from vae_pipeline.models.nets.ladder import LadderDecoder, LadderEncoder, LadderHead, levels_of
from vae_pipeline.models.nets.recurrent import BlindEncoder, BlindStart, LatentStart, RecurrentDecoder, RecurrentEncoder
from vae_pipeline.models.scaling import Scaling, TableScaling
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe import model as recipe
from vae_pipeline.system.errors import RecipeError


def build(model: recipe.AnyModel, spec: DataSpec) -> VAE:
    """A VAE with fresh weights, drawn from torch's global generator.

    Raises:
        RecipeError: the model doesn't fit the data.
    """
    classes = len(spec.classes) if model.conditional else 0
    if model.conditional and not classes:
        raise RecipeError("model.conditional is true, but the data have no labels: set it to false, or give labels")
    match spec:
        case ImageSpec():
            return _image(model, spec, classes)
        case TableSpec():
            return _table(model, spec)
        case TextSpec():
            return _text(model, spec)
        case _:
            assert_never(spec)


def _image(model: recipe.AnyModel, spec: ImageSpec, classes: int) -> VAE:
    if isinstance(model, recipe.Ladder):
        return _ladder(model, spec, classes)
    encoder = _encoder(model.encoder, spec, classes)
    posterior = _posterior(model.posterior, encoder.features)
    prior = _prior(model.prior, model.posterior.latents, spec)
    likelihood = _likelihood(model.likelihood, spec)
    decoder = _decoder(model.decoder, spec, model.posterior.latents + classes, likelihood.planes)
    return VAE(Scaling(spec.low, spec.high), encoder, posterior, prior, decoder, likelihood, classes)


def _ladder(model: recipe.Ladder, spec: ImageSpec, classes: int) -> LadderVAE:
    levels = levels_of(spec.event_shape, [(row.channels, row.latents, row.blocks, row.stride) for row in model.levels])
    likelihood = _likelihood(model.likelihood, spec)
    encoder = LadderEncoder(spec.event_shape, classes, levels, model.activation)
    heads = nn.ModuleList(LadderHead(level, model.activation) for level in levels)
    decoder = LadderDecoder(spec.event_shape, classes, likelihood.planes, levels, model.activation)
    prior = priors.StandardNormalPrior(sum(decoder.sizes))
    return LadderVAE(Scaling(spec.low, spec.high), encoder, heads, prior, decoder, likelihood, classes)


def _table(model: recipe.AnyModel, spec: TableSpec) -> VAE:
    if not (
        isinstance(model, recipe.Model)
        and isinstance(model.likelihood, recipe.MixedLikelihood)
        and isinstance(model.encoder, recipe.DenseNet)
        and isinstance(model.decoder, recipe.DenseNet)
    ):
        raise RecipeError("the data are a table: the model needs dense nets and a likelihood of kind mixed")
    columns, latents = spec.columns, model.posterior.latents
    encoder = ColumnEncoder(
        [len(column.values) for column in columns],
        [column.missing for column in columns],
        0,
        model.encoder.layers,
        model.encoder.activation,
    )
    posterior = _posterior(model.posterior, encoder.features)
    prior = _prior(model.prior, latents, spec)
    # A category has one class more than it has values: for those that training never saw.
    layout = Layout(
        tuple(_family(column) for column in columns),
        tuple(len(column.values) + 1 for column in columns),
        tuple(column.missing for column in columns),
    )
    section = model.likelihood
    likelihood = MixedLikelihood(layout, section.scale, section.missing == "modelled", section.numbers == "student_t")
    net = model.decoder
    decoder = DenseDecoder(latents, (likelihood.outputs,), likelihood.planes, net.layers, net.activation)
    scaling = TableScaling([column.knots for column in columns])
    return VAE(scaling, encoder, posterior, prior, decoder, likelihood)


def _family(column: Column) -> Kind:
    return "number" if column.kind == "date" else column.kind


def _text(model: recipe.AnyModel, spec: TextSpec) -> VAE:
    if not (
        isinstance(model, recipe.Model)
        and isinstance(model.encoder, recipe.RecurrentEncoder)
        and isinstance(model.decoder, recipe.RecurrentDecoder)
        and isinstance(model.likelihood, recipe.AutoregressiveLikelihood)
    ):
        raise RecipeError("the data are sentences: the model needs recurrent nets and a likelihood autoregressive")
    net, latents, cut = model.decoder, model.posterior.latents, model.decoder.latents == "cut"
    decoder = RecurrentDecoder(spec.vocabulary, net.cell, net.embedding, net.width, 0 if cut else latents, net.dropout)
    likelihood = AutoregressiveLikelihood(
        decoder, _output(model.likelihood.output, decoder, spec), spec.vocabulary, spec.limit, net.word_dropout
    )
    eyes = model.encoder
    encoder = (
        BlindEncoder()
        if cut
        else RecurrentEncoder(spec.vocabulary, eyes.cell, eyes.embedding, eyes.width, eyes.bidirectional)
    )
    start = BlindStart(decoder.layer.size) if cut else LatentStart(latents, decoder.layer.size)
    posterior, prior = _posterior(model.posterior, encoder.features), _prior(model.prior, latents, spec)
    return VAE(Scaling(0, 1), encoder, posterior, prior, start, likelihood)


def _output(
    output: recipe.FullOutput | recipe.AdaptiveOutput, decoder: RecurrentDecoder, spec: TextSpec
) -> vocabulary.Output:
    match output:
        case recipe.FullOutput():
            return vocabulary.FullOutput(decoder.width, spec.vocabulary, decoder.embedding if output.tied else None)
        case recipe.AdaptiveOutput():
            if output.cutoffs[0] <= vocabulary.FIRST or output.cutoffs[-1] >= spec.vocabulary:
                raise RecipeError(
                    f"likelihood.output.cutoffs are {list(output.cutoffs)}, but ids go from {vocabulary.FIRST} to "
                    f"{spec.vocabulary - 1}: set them between"
                )
            return vocabulary.AdaptiveOutput(decoder.width, spec.vocabulary, output.cutoffs)
        case _:
            assert_never(output)


def _encoder(net: recipe.EncoderNet, spec: ImageSpec, labels: int) -> DenseEncoder | ConvolutionEncoder:
    match net:
        case recipe.DenseNet():
            return DenseEncoder(spec.event_shape, labels, net.layers, net.activation)
        case recipe.ConvolutionNet():
            layers = fitting(spec.event_shape[1:], len(net.channels), net.smallest)
            return ConvolutionEncoder(spec.event_shape, labels, net.channels[:layers], net.activation, net.shortcut)
        case recipe.RecurrentEncoder():
            raise RecipeError("model.encoder.kind recurrent is of sentences, but the data are images")
        case _:
            assert_never(net)


def _posterior(posterior: recipe.Posterior, features: int) -> nn.Module:
    match posterior:
        case recipe.GaussianPosterior():
            return posteriors.GaussianPosterior(features, posterior.latents)
        case recipe.NormalisedPosterior():
            return posteriors.NormalisedPosterior(features, posterior.latents, posterior.spread)
        case recipe.FullPosterior():
            return posteriors.FullPosterior(features, posterior.latents)
        case recipe.FlowPosterior():
            return posteriors.FlowPosterior(features, posterior.latents, posterior.layers, posterior.width)
        case _:
            assert_never(posterior)


def _prior(prior: recipe.Prior, latents: int, spec: DataSpec) -> priors.Prior:
    match prior:
        case recipe.StandardNormalPrior():
            return priors.StandardNormalPrior(latents)
        case recipe.MixturePrior():
            return priors.MixturePrior(latents, prior.components)
        case recipe.VampPrior():
            return priors.VampPrior(latents, prior.components, spec.event_shape)
        case _:
            assert_never(prior)


def _decoder(net: recipe.DecoderNet, spec: ImageSpec, features: int, planes: int) -> nn.Module:
    match net:
        case recipe.DenseNet():
            return DenseDecoder(features, spec.event_shape, planes, net.layers, net.activation)
        case recipe.ConvolutionNet():
            layers = fitting(spec.event_shape[1:], len(net.channels), net.smallest)
            return ConvolutionDecoder(
                features, spec.event_shape, planes, net.channels[-layers:], net.activation, net.shortcut
            )
        case recipe.RecurrentDecoder():
            raise RecipeError("model.decoder.kind recurrent is of sentences, but the data are images")
        case _:
            assert_never(net)


def _likelihood(likelihood: recipe.Likelihood, spec: ImageSpec) -> Likelihood:
    shape, rank = spec.event_shape, len(spec.event_shape)
    match likelihood:
        case recipe.BernoulliLikelihood():
            return BernoulliLikelihood(rank)
        case recipe.GaussianLikelihood():
            return GaussianLikelihood(shape, likelihood.scale, likelihood.mean)
        case recipe.LaplaceLikelihood():
            return LaplaceLikelihood(shape, likelihood.scale, likelihood.mean)
        case recipe.StudentTLikelihood():
            return StudentTLikelihood(shape, likelihood.scale, likelihood.mean, likelihood.degrees)
        case recipe.DiscretisedLikelihood():
            tail = NormalTail() if likelihood.kind == "discretised_gaussian" else LaplaceTail()
            levels = _levels(likelihood.kind, spec)
            return DiscretisedLikelihood(tail, shape, likelihood.scale, likelihood.mean, levels)
        case recipe.LogisticLikelihood():
            return LogisticLikelihood(rank, _levels(likelihood.kind, spec), likelihood.components)
        case recipe.CategoricalLikelihood():
            return CategoricalLikelihood(rank, _levels(likelihood.kind, spec))
        case recipe.AutoregressiveLikelihood():
            raise RecipeError("model.likelihood.kind autoregressive is of sentences, but the data are images")
        case recipe.MixedLikelihood():
            raise RecipeError("model.likelihood.kind mixed is of the columns of a table, but the data are images")
        case _:
            assert_never(likelihood)


def _levels(kind: str, spec: ImageSpec) -> int:
    """How many whole numbers there are from the data's lowest to its highest."""
    if spec.dtype != "uint8":
        raise RecipeError(
            f"model.likelihood.kind {kind} gives probabilities to whole numbers, but the data are {spec.dtype}: "
            "give uint8 data, or take gaussian or laplace"
        )
    return round(spec.high - spec.low) + 1
