"""Models of the rows of a table."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vae_pipeline.kinds.spec import Column, TableSpec
from vae_pipeline.kinds.table.cells import cores_of
from vae_pipeline.models.building.latents import posterior_of, prior_of
from vae_pipeline.models.likelihoods.count_columns import CountColumns
from vae_pipeline.models.likelihoods.layout import Kind, Layout
from vae_pipeline.models.likelihoods.mixed import MixedLikelihood
from vae_pipeline.models.likelihoods.rows import RowDraw
from vae_pipeline.models.nets.columns import ColumnEncoder
from vae_pipeline.models.nets.dense import DenseDecoder
from vae_pipeline.models.nets.pool import Pool
from vae_pipeline.models.scaling import TableScaling
from vae_pipeline.models.table import TableVAE
from vae_pipeline.recipe import model as recipe
from vae_pipeline.system.errors import RecipeError


def table_model(model: recipe.AnyModel, spec: TableSpec) -> TableVAE:
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
    pools = tuple(Pool(len(column.values), column.pooled) for column in columns)
    scaling, section = TableScaling.of(spec), model.likelihood
    counted = scaling.counts
    told = [_mean_and_deviation(columns[index]) for index in counted]
    encoder = ColumnEncoder(
        pools,
        [column.missing for column in columns],
        0,
        model.encoder.layers,
        model.encoder.activation,
        dict(zip(counted, told, strict=True)),
    )
    posterior = posterior_of(model.posterior, encoder.features)
    prior = prior_of(model.prior, latents, spec.event_shape)
    numbers = model.likelihood.numbers
    layout = Layout(
        tuple("count" if at in counted else _family(each, numbers == "histogram") for at, each in enumerate(columns)),
        pools,
        tuple(column.missing for column in columns),
    )
    cells = [_scaled_cells(scaling, columns, index) for index in layout.of("histogram")]
    modelled, heavy = section.missing == "modelled", numbers == "student_t"
    counts = _counts(section, spec, [mean for mean, _ in told]) if counted else None
    likelihood = MixedLikelihood(layout, section.scale, modelled, heavy, cells, counts)
    net = model.decoder
    decoder = DenseDecoder(latents, (likelihood.outputs,), likelihood.planes, net.layers, net.activation)
    table = TableVAE(scaling, encoder, posterior, prior, decoder, likelihood)
    table.rows = RowDraw(
        layout, columns, section.bounds == "observed", likelihood.outputs * (section.shares == "matched")
    )
    return table


def _mean_and_deviation(column: Column) -> tuple[float, float]:
    """The mean and deviation of a column of counts, by its knots."""
    return (column.knots[0][0] + column.knots[-1][0]) / 2, column.unit


def _counts(section: recipe.MixedLikelihood, spec: TableSpec, means: Sequence[float]) -> CountColumns:
    if section.counts is None:
        raise RecipeError(
            f"the data were prepared with data.counts ({', '.join(spec.counts[:5])}), and model.likelihood.counts "
            "names no family for them: set it, or run `vae-pipeline prepare` again without"
        )
    library = section.counts.library
    if library and len(means) < 2:
        raise RecipeError(
            "model.likelihood.counts.library shares a total out among columns, and one alone counts: false"
        )
    return CountColumns(section.counts.family, means, spec.totals if library else (), section.scale == "per_element")


def _family(column: Column, histogram: bool) -> Kind:
    if column.kind in {"boolean", "category"}:
        return column.kind
    return "histogram" if histogram else "number"


def _scaled_cells(scaling: TableScaling, columns: Sequence[Column], index: int) -> Tensor:
    """The extents and cores of a column's cells [cells, 4], scaled as its values are."""
    column = columns[index]
    if not column.cells:
        raise RecipeError(
            f"model.likelihood.numbers is histogram, and column {column.name} was prepared without cells: set "
            "data.cells, such as to 64, and run `vae-pipeline prepare` again"
        )
    ends = torch.full([4 * len(column.cells), len(columns)], torch.nan)
    ends[:, index] = torch.tensor(cores_of(column.cells, column.step)).flatten()
    scaled: Tensor = scaling(ends)[:, 0, index]
    return scaled.view(-1, 4)
