"""The inputs of a bundle's graphs, checked before onnxruntime sees them: observations, latents, noise, labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.raw import checked, fits
from vae_pipeline.kinds.spec import DataSpec, TableSpec, TextSpec
from vae_pipeline.kinds.table.records import plain_records
from vae_pipeline.runtime.manifest import GraphEntry, TensorEntry
from vae_pipeline.system.errors import DataError, MissingError

SEEDS = 2**24
"""Seeds and indices that `generate` takes: float32 holds every whole number below this one."""
Array = npt.NDArray[Any]
SHOWN = 20
"""Classes that an error lists."""
Labels = int | str | Sequence[int | str] | Array | None
"""The class of each example, or of all of them: a number from 0, or a name."""


def checked_observations(x: Any, spec: DataSpec) -> Array:
    """Observations in the data's units, as a graph takes them: an array, or a table's rows by their columns' names.

    Raises:
        DataError: they are of another shape or type, or hold values that can't occur.
        MissingError: rows came by names and need pandas, and it isn't installed.
    """
    records = isinstance(x, Sequence) and len(x) > 0 and all(isinstance(row, Mapping) for row in x)
    return checked(_encoded(x, spec, records) if records or hasattr(x, "columns") else x, spec)


def _encoded(rows: Any, spec: DataSpec, records: bool) -> Array:
    """Rows by the names of their columns (a DataFrame, or records) in the order of the columns."""
    if not isinstance(spec, TableSpec):
        raise DataError("rows by the names of their values were given; this model takes an array")
    found = plain_records(rows, spec, "the table") if records else None
    if found is not None:
        return found
    try:
        from vae_pipeline.kinds.table.frames import encoded_rows  # noqa: PLC0415 (pandas costs only those who have it)
    except ModuleNotFoundError as error:
        raise MissingError(
            f"rows by the names of their columns need {error.name}, unless they are records whose values are numbers, "
            f"booleans, ISO 8601 dates and texts of categories: install it, or give an array of {len(spec.columns)} "
            "columns"
        ) from error
    return encoded_rows(rows, spec, "the table")


def checked_inputs(graph: GraphEntry, inputs: Mapping[str, Array], spec: DataSpec) -> dict[str, Array]:
    """Check the inputs of a graph but labels, by the manifest's names; a table's rows are less their columns' offsets.

    Raises:
        DataError: an input is missing, unknown, of another shape or holds what the model doesn't take.
    """
    if inputs.keys() != graph.inputs.keys():
        raise DataError(f"inputs {', '.join(inputs) or 'none'} were given; wanted {', '.join(graph.inputs)}")
    rows: dict[str, Array] = {}
    for name, tensor in graph.inputs.items():
        if name == "x":
            rows[name] = checked(inputs[name], spec, centred=True, event=tensor.event)
        elif name != "label":
            rows[name] = checked_numbers(name, inputs[name], tensor)
    if "token" in rows:
        assert isinstance(spec, TextSpec)  # the graphs of no other kind take tokens
        rows["token"] = _ids(rows["token"], spec)
    if len({len(values) for values in rows.values()}) > 1:
        counts = ", ".join(f"{len(values)} of {name}" for name, values in rows.items())
        raise DataError(f"rows were given as {counts}; wanted as many of each")
    return rows


def checked_numbers(name: str, values: Array, tensor: TensorEntry) -> Array:
    """Finite values of the input `name`, [examples, *event], as float32.

    Raises:
        DataError: they are of another shape or type, or not finite.
    """
    values = np.asarray(values)
    if not values.ndim or not fits(values.shape[1:], tensor.event):
        wanted = ["examples", *tensor.event]
        raise DataError(f"{name}: values of shape {list(values.shape)} were given; wanted {wanted}".replace("'", ""))
    if values.dtype.kind not in "iuf":
        raise DataError(f"{name}: values of type {values.dtype} were given; numbers are wanted")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values.astype(np.float32))
    if len(values) == 0 or not np.isfinite(values).all():
        raise DataError(f"{name}: the values are none, or hold NaN or infinity")
    if name in ("seed", "index") and not ((values == np.rint(values)) & (values >= 0) & (values < SEEDS)).all():
        raise DataError(f"{name}: {values.tolist()} were given; wanted whole numbers from 0 to {SEEDS - 1}")
    return values


def checked_labels(labels: Labels, count: int, classes: Sequence[str]) -> Array:
    """A class for each of `count` examples, as int64; a text that is a name is that name, even if it is a number too.

    Raises:
        DataError: there are none, more or fewer, or some are no class.
    """
    named = [f"{name} ({number})" for number, name in enumerate(classes[:SHOWN])]
    valid = ", ".join([*named, *[f"{len(classes) - SHOWN:,} more"] * (len(classes) > SHOWN)])
    if labels is None:
        raise DataError(f"this model is conditional on a label, and none was given: wanted one of {valid}")
    values = np.asarray(labels)
    if not values.ndim:
        values = np.full(count, values)
    if values.shape != (count,):
        raise DataError(f"labels of shape {list(values.shape)} were given for {count} examples: one each is wanted")
    if values.dtype.kind in "UO":
        numbers = {str(at): at for at in range(len(classes))} | {name: at for at, name in enumerate(classes)}
        values = np.asarray([numbers.get(each, each) for each in values.tolist()])
    if not np.issubdtype(values.dtype, np.integer) or values.min() < 0 or values.max() >= len(classes):
        raise DataError(f"labels {np.unique(values).tolist()} were given; wanted names or numbers of {valid}")
    return values.astype(np.int64)


def _ids(tokens: Array, spec: TextSpec) -> Array:
    if not ((tokens == np.rint(tokens)) & (tokens >= 0) & (tokens < spec.vocabulary)).all():
        raise DataError(f"token: {tokens.tolist()} were given; wanted whole numbers from 0 to {spec.vocabulary - 1}")
    return tokens.astype(np.int32)
