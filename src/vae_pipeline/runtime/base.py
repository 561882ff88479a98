"""The base space of a sampler: the noise of N(0, I) of which it makes latents."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.runtime.graphs import Graphs
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
ROUNDS, NEAR = 20, 1e-4  # the most corrections, and the distance in standard deviations at which none is needed


def base(graphs: Graphs, z: Array) -> Array:
    """The noise of which the sampler makes `z` [examples, latents].

    The inverse of a flow that is followed in steps errs by their length. It is asked for the latents that are off by
    as much the other way, until what the sampler makes is what was wanted.

    Raises:
        DataError: the sampler has no inverse, or its inverse isn't found.
    """
    manifest = graphs.manifest
    codes = manifest.latent_map is not None and manifest.latent_map.levels  # noise isn't these, but chooses them
    if manifest.sampler == "prior" and manifest.noise == manifest.latents and not codes:
        return z
    if GraphName.BASE not in manifest.graphs:
        raise DataError(
            f"{graphs.folder} draws by the sampler {manifest.sampler}, which doesn't lead back from latents to noise: "
            "take another path, or train with sampler: flow or flow_matching and export the full bundle"
        )
    asked = z
    for _ in range(ROUNDS):
        noise, again = graphs.rows(GraphName.BASE, {"z": asked.astype(np.float32)}, None)
        off = z - again
        if np.abs(off).max() <= NEAR * max(1.0, np.abs(z).max()):
            return noise
        asked = asked + off
    raise DataError(
        f"{graphs.folder}: what the sampler makes of its own inverse is {np.abs(off).max():.2g} from the latents that "
        "were asked for: these lie far from what it was fitted to; take another path, or more sampler.steps"
    )
