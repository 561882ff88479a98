"""The way through a part of the data that every metric takes, and some of its rows."""

import math
from collections.abc import Iterator, Sized

import numpy as np
import numpy.typing as npt
import torch

from vae_pipeline.kinds.store import Split
from vae_pipeline.models.corruption import corrupted_rows
from vae_pipeline.models.rows import Rows
from vae_pipeline.models.scaling import AnyScaling
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.system.progress import going

VALUES = 4096 * 28 * 28  # decoded at a time: what they need stays near a CPU's cache, and memory is bounded
ROWS = 1024  # examples encoded at a time, at most


def at_once(split: Split, most: int) -> int:
    """The most examples that are decoded at a time."""
    return max(1, min(most, VALUES // math.prod(split.x.shape[1:])))


def batches(split: Split, device: torch.device, what: str, rows: int | None = None) -> Iterator[Rows]:
    """The rows of a part in their order, so many at a time that memory doesn't grow with their size.

    `what` is what they are wanted for, as a person reads it who waits.
    """
    rows = rows or at_once(split, ROWS)
    for start in range(0, len(split), rows):
        going(what, start, len(split))
        yield read(split, slice(start, start + rows), device)


@torch.inference_mode()
def viewed(split: Split, scaling: AnyScaling, what: str) -> Iterator[npt.NDArray[np.float64]]:
    """The values that a model sees, some examples at a time: [examples, values]."""
    device = next((each.device for each in scaling.buffers()), torch.device("cpu"))
    for rows in batches(split, device, what, at_once(split, 4 * ROWS)):
        yield scaling(rows.explained).flatten(1).double().cpu().numpy()


def read(split: Split, rows: slice | npt.NDArray[np.int64], device: torch.device) -> Rows:
    """Some rows of a part, on a device, as a model sees them."""
    label = None if split.labels is None else torch.from_numpy(split.labels[rows])
    found = corrupted_rows(Rows(torch.from_numpy(split.x[rows]), label), split.corruption, rows)
    return found.map(lambda tensor: tensor.to(device))


def subset(split: Split, count: int | None, seed: int) -> Split:
    """`count` rows drawn without replacement, in their order; the same for the same seed; all if None."""
    if count is None or count >= len(split):
        return split
    return taken(split, chosen_rows(split, count, seed))


def chosen_rows(split: Sized, count: int | None, seed: int) -> npt.NDArray[np.int64]:
    """The rows that `subset` takes."""
    if count is None or count >= len(split):
        return np.arange(len(split))
    return np.sort(np.random.default_rng(derive(seed, "subset")).permutation(len(split))[:count])


def taken(split: Split, rows: npt.NDArray[np.int64]) -> Split:
    """Some rows of a part, in memory."""
    arrays = (split.labels, split.masks, split.sizes, split.groups)
    labels, masks, sizes, groups = (None if array is None else array[rows] for array in arrays)
    attributes = None if split.attributes is None else split.attributes[rows]
    corruption = None if split.corruption is None else split.corruption.taken(rows)
    return Split(split.x[rows], labels, masks, sizes, attributes, groups, split.beside, corruption)
