"""The file of a bundle's directions, and its entry in bundle.json."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vae_pipeline.metrics.directions import Direction
from vae_pipeline.runtime.manifest import DirectionEntry, DirectionsEntry
from vae_pipeline.system.files import sha256_of

FILE = "directions.npz"


def write_directions(directions: Sequence[Direction], folder: Path) -> DirectionsEntry:
    """Fill directions.npz; returns its entry in bundle.json."""
    np.savez(folder / FILE, directions=np.stack([each.vector for each in directions]))
    found = [
        DirectionEntry(each.name, each.kind, each.shown, each.others, each.auroc, each.auroc_standard_error)
        for each in directions
    ]
    return DirectionsEntry(FILE, sha256_of(folder / FILE), tuple(found))
