"""The labelled set of a repeat: some training images, of each class as large a share as in the training part."""

from typing import Literal

import numpy as np

from vae_pipeline.kinds.parts import Indices
from vae_pipeline.kinds.store import Split
from vae_pipeline.metrics.parts import taken
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.system.errors import DataError

Size = int | Literal["all"]


def labelled_set(train: Split, size: Size, seed: int) -> Split:
    """Draw so many training images, into memory; the same for the same seed.

    Raises:
        DataError: there are fewer, or not one for each class.
    """
    assert train.labels is not None  # the study says so
    rng = np.random.default_rng(derive(seed, "labelled set"))
    counts = images_of(train.labels, size)
    rows = [rng.permutation(np.flatnonzero(train.labels == label))[:count] for label, count in counts.items()]
    return taken(train, np.sort(np.concatenate(rows)))


def images_of(labels: Indices, size: Size) -> dict[int, int]:
    """Images of each class, by largest remainders; at least one of each.

    Raises:
        DataError: there are fewer labels, or fewer wanted than there are classes.
    """
    present, have = np.unique(labels, return_counts=True)
    if size == "all":
        return dict(zip(present.tolist(), have.tolist(), strict=True))
    if size > len(labels):
        raise DataError(
            f"study.sizes has {size:,}, and the training part has {len(labels):,} images: give smaller sizes, or all"
        )
    if size < len(present):
        raise DataError(
            f"study.sizes has {size}, and there are {len(present)} classes, each of which needs an image: give "
            f"{len(present)} or more"
        )
    exact = have * size / len(labels)
    counts = np.maximum(np.floor(exact).astype(int), 1)
    while counts.sum() != size:
        if counts.sum() < size:
            counts[np.argmax(np.where(counts < have, exact - counts, -np.inf))] += 1
        else:
            counts[np.argmin(np.where(counts > 1, exact - counts, np.inf))] -= 1
    return dict(zip(present.tolist(), counts.tolist(), strict=True))
