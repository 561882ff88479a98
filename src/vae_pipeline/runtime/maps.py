"""Images of any size through a model whose latents are a map: as a whole, or in tiles that overlap.

A place of the map depends on the pixels within a radius, and a pixel on the places within another; both were computed
from the architecture. So a tile that is cut out with as much around it has the answer that it has within the whole.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.raw import checked
from vae_pipeline.runtime.graphs import BATCH, Graphs
from vae_pipeline.runtime.inference import Encoding
from vae_pipeline.runtime.inputs import Labels, checked_numbers
from vae_pipeline.runtime.latent_map import LatentMapEntry
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.errors import DataError

PIXELS = 2**20
"""Pixels of images that a graph is given at once, but for one image that has more."""
Array = npt.NDArray[Any]
Run = Callable[[Array], list[Array]]


def encode_map(
    graphs: Graphs, x: Array, labels: Labels = None, tile: int | None = None, scaled: bool = False
) -> Encoding:
    """q(z|x) of raw images [examples, channels, height, width], as maps [examples, latent channels, rows, columns].

    Sides that the factor doesn't divide are padded by repeating the last row and column.

    Raises:
        DataError: the latents are no map, the images can't be used, or tiles wouldn't be exact.
    """
    told = _told(graphs)
    x = told.padded(_images(graphs, x))

    def run(some: Array) -> list[Array]:
        return graphs.rows(GraphName.MAP_ENCODER, {"x": some}, labels, _at_a_time(some.shape[2:]))

    places = None if tile is None else _places(tile, told)
    mean, log_variance = _in_tiles(run, x, (told.factor, 1), places, _radii(told)[0])
    if scaled:
        middle, deviation = _spread(told)
        mean, log_variance = (mean - middle) / deviation, log_variance - 2 * np.log(deviation)
    return Encoding(mean, log_variance)


def decode_map(graphs: Graphs, z: Array, labels: Labels = None, tile: int | None = None, scaled: bool = False) -> Array:
    """E[x|z] of maps [examples, latent channels, rows, columns], in the data's units; `scaled` ones are brought back.

    Raises:
        DataError: the latents are no map, these are none of the model's, or tiles wouldn't be exact.
    """
    told = _told(graphs)
    z = checked_numbers("z", z, graphs.manifest.graphs[GraphName.MAP_DECODER].inputs["z"])
    if scaled:
        middle, deviation = _spread(told)
        z = z * deviation + middle

    def run(some: Array) -> list[Array]:
        sides = (some.shape[2] * told.factor, some.shape[3] * told.factor)
        return graphs.rows(GraphName.MAP_DECODER, {"z": some}, labels, _at_a_time(sides))

    places = None if tile is None else _places(tile, told)
    return graphs.spec.natural(_in_tiles(run, z, (1, told.factor), places, _radii(told)[1])[0])


def reconstruct_map(graphs: Graphs, x: Array, labels: Labels = None, tile: int | None = None) -> Array:
    """E[x|z] of images of any size at the posterior's mean, in the data's units and of the images' size.

    Raises:
        DataError: as `encode_map`.
    """
    height, width = np.shape(x)[-2:] if np.ndim(x) == 4 else (0, 0)
    return decode_map(graphs, encode_map(graphs, x, labels, tile).mean, labels, tile)[:, :, :height, :width]


def denoise_map(graphs: Graphs, x: Array, labels: Labels = None, tile: int | None = None) -> list[Array]:
    """Clean images of any size and the ends of their intervals, in the data's units and of the images' size.

    Raises:
        DataError: as `encode_map`.
    """
    told = _told(graphs)
    x = _images(graphs, x, GraphName.MAP_DENOISE)

    def run(some: Array) -> list[Array]:
        return graphs.rows(GraphName.MAP_DENOISE, {"x": some}, labels, _at_a_time(some.shape[2:]))

    places = None if tile is None else _places(tile, told)
    found = _in_tiles(run, told.padded(x), (told.factor, told.factor), places, sum(_radii(told)))
    return [each[:, :, : x.shape[2], : x.shape[3]] for each in found]


def _told(graphs: Graphs) -> LatentMapEntry:
    told = graphs.manifest.latent_map
    if told is None:
        raise DataError(
            f"{graphs.folder} has no map of latents but a vector: it takes observations of "
            f"{list(graphs.spec.event_shape)} alone, by encode, decode and reconstruct"
        )
    return told


def _images(graphs: Graphs, x: Array, name: GraphName = GraphName.MAP_ENCODER) -> Array:
    return checked(x, graphs.spec, centred=True, event=graphs.manifest.graphs[name].inputs["x"].event)


def _places(tile: int, told: LatentMapEntry) -> int:
    """The places along a side of a tile of so many pixels."""
    if tile < 1:
        raise DataError(f"tiles of {tile} pixels were asked for; wanted 1 or more")
    if not told.bounded:
        raise DataError(
            "tiles were asked for, but each place of this model depends on the whole image, by group normalisation or "
            "attention: leave tiles out, or train with normalisation: local and attention: false"
        )
    return -(-tile // told.factor)


def _radii(told: LatentMapEntry) -> tuple[int, int]:
    """The places of the map beyond its own that a place depends on by the encoder, and a pixel by the decoder."""
    return -(-(told.encoder_radius or 0) // told.factor), told.decoder_radius or 0


def _spread(told: LatentMapEntry) -> tuple[Array, Array]:
    """Mean and deviation, to go with maps."""
    mean, deviation = (np.array(each, np.float32)[:, None, None] for each in (told.mean, told.deviation))
    return mean, deviation


def _at_a_time(sides: tuple[int, ...]) -> int:
    return min(BATCH, max(1, PIXELS // (sides[0] * sides[1])))


class _Span(NamedTuple):
    """A tile along one side, in places."""

    seen: slice
    """The places that it is computed from."""
    kept: slice
    """The part of the answer that is kept."""
    to: slice
    """The place of that part in the whole."""


def _in_tiles(run: Run, given: Array, sizes: tuple[int, int], places: int | None, around: int) -> list[Array]:
    """The answers of `run`, of the whole or put together of tiles of so many `places` a side.

    A place is as many values along a side of what is given, and of what is answered, as `sizes` say.
    """
    if places is None:
        return run(given)
    before, after = sizes
    rows, columns = (side // before for side in given.shape[2:])
    answers: list[Array] = []
    for down, across in product(_spans(rows, places, around), _spans(columns, places, around)):
        found = run(given[:, :, _values(down.seen, before), _values(across.seen, before)])
        if not answers:
            answers = [np.empty((*each.shape[:2], after * rows, after * columns), each.dtype) for each in found]
        for whole, part in zip(answers, found, strict=True):
            kept = part[:, :, _values(down.kept, after), _values(across.kept, after)]
            whole[:, :, _values(down.to, after), _values(across.to, after)] = kept
    return answers


def _spans(count: int, size: int, around: int) -> Iterator[_Span]:
    for start in range(0, count, size):
        stop = min(start + size, count)
        first = max(0, start - around)
        yield _Span(slice(first, min(count, stop + around)), slice(start - first, stop - first), slice(start, stop))


def _values(places: slice, size: int) -> slice:
    return slice(size * places.start, size * places.stop)
