"""Images that are training images, to the last of 256 levels: told by a hash of each."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.division import row_hash
from vae_pipeline.kinds.image.pictures import to_pixels
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Split
from vae_pipeline.system.progress import going

VALUES = 2**24  # read at a time, at most


class KnownImages:
    """The training images, by hashes of 64 bits: chance hardly ever makes those of two images equal."""

    def __init__(self, train: Split, spec: ImageSpec) -> None:
        """Read all of them, some at a time."""
        self.spec, self._row = spec, dict[int, int]()
        for start, hashes in self._parts(train):
            going("the training images by their hashes", start, len(train))
            for at, each in enumerate(hashes, start):
                self._row.setdefault(each, at)

    def rows(self, x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The first training image that each of [images, channels, height, width] is; -1 where it is none."""
        return np.array([self._row.get(each, -1) for each in self._hashes(x)], np.int64)

    def share(self, split: Split) -> float:
        """The share of a part that are training images."""
        known = sum(each in self._row for _, hashes in self._parts(split) for each in hashes)
        return known / len(split)

    def _parts(self, split: Split) -> Iterator[tuple[int, list[int]]]:
        size = max(1, VALUES // math.prod(split.x.shape[1:]))
        for start in range(0, len(split), size):
            yield start, self._hashes(split.x[start : start + size])

    def _hashes(self, x: npt.NDArray[Any]) -> list[int]:
        return [row_hash(each.tobytes()) for each in to_pixels(x, self.spec.low, self.spec.high)]
