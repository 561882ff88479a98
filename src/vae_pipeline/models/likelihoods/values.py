"""The scaled values of a part, as an independent fit goes through them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Values:
    """A part of the data, which may be gone through several times, some examples at a time."""

    count: int
    """Examples in all."""
    chunks: Callable[[], Iterator[Array]]
    """All examples in their order: [examples, values] on [0, 1] of images, [examples, 2, columns] of a table's scaled
    values and of a mask, [examples, limit] of ids."""
    some: Callable[[], Array]
    """The values that may be in memory at once, drawn at random."""

    def __iter__(self) -> Iterator[Array]:
        return self.chunks()

    def levels(self, levels: int) -> Array:
        """The count of each of `levels` whole numbers: [values, levels]."""
        return total(_counted(x, levels) for x in self)


def total(parts: Iterable[Array]) -> Array:
    """The sum over examples."""
    return np.asarray(sum(part.sum(axis=0) for part in parts))


def _counted(x: Array, levels: int) -> Array:
    places = np.rint(x * (levels - 1)).astype(np.int64) + np.arange(x.shape[1]) * levels
    return np.bincount(places.ravel(), minlength=x.shape[1] * levels).reshape(1, -1, levels)
