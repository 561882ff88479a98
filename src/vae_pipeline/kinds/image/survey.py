"""A survey of pictures before any is used: which can be read, and what range greys of over 8 bits have."""

import dataclasses
import math
from collections import Counter

from vae_pipeline.kinds.image.decoding import read_whole, wide_levels
from vae_pipeline.kinds.image.spec import LEVELS
from vae_pipeline.kinds.listing import Listing
from vae_pipeline.recipe.data import FolderData
from vae_pipeline.system.errors import CorruptFileError, DataError


class PictureSurvey:
    """A survey of one place after the other."""

    def __init__(self, data: FolderData) -> None:
        self.data = data
        self.dropped: Counter[str] = Counter()
        self._low, self._high = math.inf, -math.inf

    def add(self, pictures: Listing) -> Listing:
        """Give the pictures without those that can't be read, where the recipe drops these.

        Raises:
            CorruptFileError, DataError: it doesn't, or none can be read.
        """
        self.dropped.update(pictures.skipped)
        if pictures.broken and self.data.corrupt == "fail":
            raise DataError(
                f"{pictures.place}/{pictures.broken[0]} is a link that leads nowhere, one of {len(pictures.broken)}: "
                "mend them, or set data.corrupt to drop"
            )
        self.dropped.update({"link that leads nowhere": len(pictures.broken)} if pictures.broken else {})
        whole = []
        for name in pictures.names:
            try:
                self._look(pictures.read(name), f"{pictures.place}/{name}")
            except CorruptFileError:
                if self.data.corrupt == "fail":
                    raise
                self.dropped["truncated or corrupt picture"] += 1
            else:
                whole.append(name)
        if not whole:
            raise DataError(f"every picture in {pictures.place} is truncated or corrupt: fetch them again")
        return dataclasses.replace(pictures, names=whole)

    def _look(self, content: bytes, shown: str) -> None:
        if self.data.corrupt == "drop":
            read_whole(content, shown, self.data.shape[0])
        found = wide_levels(content, shown)
        if found is not None:
            self._low, self._high = min(self._low, found[0]), max(self._high, found[1])

    @property
    def levels(self) -> tuple[float, float]:
        """The value that becomes 0, and the one at which 256 would begin, of greys of over 8 bits.

        Raises:
            DataError: they hold more than the recipe's depth.
        """
        depth = self.data.depth
        if depth is not None:
            if self._high > 2**depth:
                raise DataError(
                    f"data.depth says {depth} bits, but greys hold values up to {self._high - 1:g}: set it to "
                    f"{math.ceil(math.log2(self._high))}, or leave it out"
                )
            return 0.0, float(2**depth)
        return (self._low, self._high) if self._low < self._high else LEVELS

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the range that a reader must see."""
        if self.data.depth is not None or self._low >= self._high:
            return ()
        return (
            f"greys of over 8 bits hold values in [{self._low:g}, {self._high:g}), which became 0 to 255; data.depth "
            "gives another range, 0 to 2^depth",
        )
