"""A survey of pictures before any is used: which can be read, and what range greys of over 8 bits have."""

import dataclasses
import math
import statistics
from collections import Counter
from dataclasses import dataclass

import numpy as np

from vae_pipeline.kinds.blocks import BlockRows, Blocks
from vae_pipeline.kinds.image.looks import PictureLook
from vae_pipeline.kinds.image.spec import LEVELS
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.parts import Array, Indices
from vae_pipeline.recipe.data import FolderData
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.workbench import Workbench

FEW_LEVELS = 32
"""Levels of grey, under which a picture loses what a reader may want."""


@dataclass(frozen=True)
class SurveyedPictures:
    """The pictures of a place that can be used."""

    listing: Listing
    blocks: Blocks
    look: PictureLook
    told: Array
    """The findings on each."""

    @property
    def owners(self) -> Indices:
        """The picture of each row: of one row, or of as many as it was cut into tiles."""
        return np.repeat(np.arange(len(self.told)), self.told["rows"])


class PictureSurvey:
    """A survey of one place after the other."""

    def __init__(self, data: FolderData, bench: Workbench) -> None:
        self.data, self.bench = data, bench
        self.dropped: Counter[str] = Counter()
        self._low, self._high = math.inf, -math.inf
        self._ends: list[tuple[float, str]] = []
        """The end of the greys of each picture of over 8 bits, and its name."""

    def add(self, pictures: Listing) -> SurveyedPictures:
        """Read all pictures; those that can't be read are left out, where the recipe drops these.

        Raises:
            CorruptFileError, DataError: it doesn't, none can be read, or one can't be used.
            WorkerError: a process that read some was ended from outside.
        """
        self.dropped.update(pictures.skipped)
        if pictures.broken and self.data.corrupt == "fail":
            raise DataError(
                f"{pictures.place}/{pictures.broken[0]} is a link that leads nowhere, one of {len(pictures.broken)}: "
                "mend them, or set data.corrupt to drop"
            )
        self.dropped.update({"link that leads nowhere": len(pictures.broken)} if pictures.broken else {})
        look = PictureLook(self.data)
        blocks = Blocks(pictures, look, self.bench)
        found = blocks.findings
        kept = np.flatnonzero(~found["corrupt"])
        if len(kept) < len(found):
            self.dropped["truncated or corrupt picture"] += len(found) - len(kept)
        if not len(kept):
            raise DataError(f"every picture in {pictures.place} is truncated or corrupt: fetch them again")
        wide = found["levels"][found["late"]]
        self._low = float(wide[:, 0].min(initial=self._low))
        self._high = float(wide[:, 1].max(initial=self._high))
        late = [pictures.names[place] for place in np.flatnonzero(found["late"]).tolist()]
        self._ends += zip(wide[:, 1].tolist(), late, strict=True)
        listing = dataclasses.replace(
            pictures,
            names=[pictures.names[place] for place in kept.tolist()],
            digest=lambda _: pictures.digest(map(bytes, found["digest"])),
        )
        usable = found if len(kept) == len(found) else found[kept]  # a million take 71 MiB
        return SurveyedPictures(listing, blocks, look, usable)

    def rows(self, pictures: SurveyedPictures) -> BlockRows:
        """The pictures as rows, once all places were added."""
        return BlockRows(pictures.blocks, self.levels)

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
        told = (
            f"greys of over 8 bits hold values in [{self._low:g}, {self._high:g}), which became 0 to 255; data.depth "
            "gives another range, 0 to 2^depth",
        )
        usual = statistics.median(end for end, _ in self._ends)
        if usual - self._low > FEW_LEVELS / 256 * (self._high - self._low):
            return told
        brightest = max(self._ends)[1]
        return (
            *told,
            f"greys of half of these pictures end below {usual:g}, which leaves them under {FEW_LEVELS} levels of 256: "
            f"mend or leave out such as {brightest}, whose greys reach {self._high - 1:g}",
        )
