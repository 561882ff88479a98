"""The ways that a bundle knows between observations, by their views."""

from itertools import pairwise
from typing import Any, Literal

import numpy.typing as npt

from vae_pipeline.runtime.base import base
from vae_pipeline.runtime.geodesics import along, geodesic
from vae_pipeline.runtime.graphs import Graphs
from vae_pipeline.runtime.inference import encode
from vae_pipeline.runtime.paths import Seen, path_between
from vae_pipeline.runtime.signatures import GraphName

Array = npt.NDArray[Any]
PathKind = Literal["linear", "spherical", "sampler", "geodesic"]


def ways(graphs: Graphs, x: Array, kind: PathKind, label: int | str | None) -> list[Seen]:
    """The ways between the posterior means of neighbours.

    Raises:
        DataError: there is no such path.
    """

    def decoded(z: Array) -> Array:
        return graphs.spec.natural(graphs.rows(GraphName.DECODER, {"z": z}, label)[0])

    def sampled(noise: Array) -> Array:
        return graphs.spec.natural(graphs.rows(GraphName.SAMPLE, {"noise": noise}, label)[0])

    def way(start: Array, end: Array) -> Seen:
        if kind == "geodesic":
            return along(decoded, geodesic(decoded, start, end))
        if kind == "sampler":
            return lambda place: sampled(path_between(start, end, place, "spherical"))
        return lambda place: decoded(path_between(start, end, place, kind))

    graphs.entry(GraphName.DECODER)
    z = encode(graphs, x, label).mean
    return [way(start, end) for start, end in pairwise(base(graphs, z) if kind == "sampler" else z)]
