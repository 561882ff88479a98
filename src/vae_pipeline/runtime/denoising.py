"""Observations denoised by a bundle: by its graph `denoise`, in chunks if they are sound, or by draws of a model of
images that was trained for something else.

clean = E_q[E[x|z]], a mean over draws of q(z|x) by noise that is the same for every example
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import AudioSpec, ImageSpec, TableSpec, TextSpec
from vae_pipeline.runtime.denoising_entry import noise_of
from vae_pipeline.runtime.graphs import BATCH, Graphs
from vae_pipeline.runtime.inference import encode
from vae_pipeline.runtime.inputs import Labels, checked_observations
from vae_pipeline.runtime.maps import decode_map, denoise_map, encode_map
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.runtime.streams import denoise_recordings
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
DRAWS = 16


@dataclass(frozen=True)
class Denoised:
    """Clean observations, [examples, *event] in the data's units."""

    clean: Array
    low: Array | None
    """The lower ends of the intervals of clean values; None where no graph knows them."""
    high: Array | None


def denoise(graphs: Graphs, x: Array, labels: Labels, mix: float, tile: int | None) -> Denoised:
    """Denoise raw images, of any size where latents are a map; or recordings of any length.

    Raises:
        DataError: the model can't denoise, the observations can't be used, or `mix` is no share.
    """
    spec = graphs.spec
    if not 0 <= mix <= 1:
        raise DataError(f"mix {mix:g} was given; wanted a number from 0, all as it is, to 1, what is clean alone")
    match spec:
        case ImageSpec():
            found = _images(graphs, x, labels, tile, spec)
        case AudioSpec():
            found = Denoised(*denoise_recordings(graphs, x))
        case TableSpec() | TextSpec():
            raise DataError(f"{graphs.folder} is a model of a kind {spec.kind}: images and sound can be denoised")
        case _:
            assert_never(spec)
    if mix == 1:
        return found
    mixed = np.asarray(x, np.float32) + np.float32(mix) * (found.clean - np.asarray(x, np.float32))
    return Denoised(mixed, found.low, found.high)


def _images(graphs: Graphs, x: Array, labels: Labels, tile: int | None, spec: ImageSpec) -> Denoised:
    told = graphs.manifest.denoising
    if told is not None and tile is None and np.shape(x)[1:] == spec.event_shape:
        given = {"x": checked_observations(x, spec)}
        return Denoised(*graphs.rows(GraphName.DENOISE, given, labels, max(1, BATCH // max(1, told.draws))))
    if GraphName.MAP_DENOISE in graphs.manifest.graphs:
        return Denoised(*denoise_map(graphs, x, labels, tile))
    return Denoised(_by_draws(graphs, x, labels, tile, spec, DRAWS if told is None else told.draws), None, None)


def _by_draws(graphs: Graphs, x: Array, labels: Labels, tile: int | None, spec: ImageSpec, draws: int) -> Array:
    """Denoise by the graphs of encoder and decoder, a draw at a time, so that memory doesn't grow with their number."""
    if tile is None and np.shape(x)[1:] == spec.event_shape:
        q, decode = encode(graphs, x, labels), partial(_decode, graphs)
    else:
        q, decode = encode_map(graphs, x, labels, tile), partial(decode_map, graphs, tile=tile)
    height, width = np.shape(x)[-2:]
    total: Array = np.zeros((), np.float32)
    for draw in range(draws):
        z = q.mean + np.exp(q.log_variance / 2) * noise_of(draw, q.mean.shape[1:])
        total = total + decode(z, labels)[..., :height, :width]
    return (total / np.float32(draws)).clip(spec.low, spec.high)


def _decode(graphs: Graphs, z: Array, labels: Labels) -> Array:
    return graphs.rows(GraphName.DECODER, {"z": z.astype(np.float32)}, labels)[0]
