"""Models of the rows of a table."""

from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.models.building.latents import posterior_of, prior_of
from vae_pipeline.models.likelihoods.layout import Kind, Layout
from vae_pipeline.models.likelihoods.mixed import MixedLikelihood
from vae_pipeline.models.nets.columns import ColumnEncoder
from vae_pipeline.models.nets.dense import DenseDecoder
from vae_pipeline.models.scaling import TableScaling
from vae_pipeline.models.vae import VAE
from vae_pipeline.recipe import model as recipe
from vae_pipeline.system.errors import RecipeError


def table_model(model: recipe.AnyModel, spec: TableSpec) -> VAE:
    """A VAE of rows."""
    if not (
        isinstance(model, recipe.Model)
        and isinstance(model.likelihood, recipe.MixedLikelihood)
        and isinstance(model.posterior, recipe.VectorPosterior)
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
    posterior = posterior_of(model.posterior, encoder.features)
    prior = prior_of(model.prior, latents, spec.event_shape)
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
