"""Models of sentences."""

from typing import assert_never

from vae_pipeline.kinds.spec import TextSpec
from vae_pipeline.models import vocabulary
from vae_pipeline.models.building.latents import posterior_of, prior_of
from vae_pipeline.models.likelihoods.autoregressive import AutoregressiveLikelihood
from vae_pipeline.models.nets.recurrent import BlindEncoder, BlindStart, LatentStart, RecurrentDecoder, RecurrentEncoder
from vae_pipeline.models.scaling import Scaling
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe import model as recipe
from vae_pipeline.system.errors import RecipeError


def text_model(model: recipe.AnyModel, spec: TextSpec) -> VAE:
    """A VAE of sentences."""
    if not (
        isinstance(model, recipe.Model)
        and isinstance(model.encoder, recipe.RecurrentEncoder)
        and isinstance(model.decoder, recipe.RecurrentDecoder)
        and isinstance(model.likelihood, recipe.AutoregressiveLikelihood)
        and isinstance(model.posterior, recipe.VectorPosterior)
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
    posterior, prior = posterior_of(model.posterior, encoder.features), prior_of(model.prior, latents, spec.event_shape)
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
