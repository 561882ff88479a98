"""The labelled set of a repeat: some training images, of each class as large a share as in the training part."""

from typing import Literal

import numpy as np

from vae_pipeline.kinds.parts import Indices
from vae_pipeline.kinds.store import Split
from vae_pipeline.numerics.randomness import derive
from vae_pipeline.system.errors import DataError

Size = int | Literal["all"]


def labelled_rows(train: Split, among: Indices, size: Size, seed: int) -> Indices:
    """Draw so many rows of a training part, `among` these, sorted; the same for the same seed.

    Where groups are known, such as patients, they are drawn whole, in one order for all classes, until each class has
    its share: of the last one that a class needs some images are left out.

    Raises:
        DataError: there are fewer, or not one for each class.
    """
    assert train.labels is not None  # the study says so
    rng, labels = np.random.default_rng(derive(seed, "labelled set")), train.labels[among]
    place = None if train.groups is None else _drawn_order(train.groups[among], seed)
    rows = []
    for label, count in images_of(labels, size).items():
        drawn = rng.permutation(np.flatnonzero(labels == label))
        if place is not None:
            drawn = drawn[np.argsort(place[drawn], kind="stable")]
        rows.append(drawn[:count])
    chosen: Indices = among[np.sort(np.concatenate(rows))]
    return chosen


def _drawn_order(groups: Indices, seed: int) -> Indices:
    """The place of each image's group in a drawn order of groups."""
    names, number = np.unique(groups, return_inverse=True)
    place: Indices = np.random.default_rng(derive(seed, "order of groups")).permutation(len(names))[number]
    return place


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
            f"study.sizes has {size:,}, and there are {len(labels):,} training images to draw from: give smaller "
            "sizes, or all"
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
