"""A survey of recordings before any is used: which can be read, and what the data card tells of them."""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np

from vae_pipeline.kinds.audio.decoding import MOST_LOST, Recording, read_header
from vae_pipeline.kinds.audio.spec import AudioSpec
from vae_pipeline.kinds.audio.windows import WindowedRows, count_windows, read_for
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.recipe.data import AudioData
from vae_pipeline.system.errors import CorruptFileError, DataError

TOLD = {
    "resampled": "resampled",
    "dulled": "with over a tenth of their energy above half of data.rate_hz, which is lost",
    "mixed": "mixed to mono",
    "padded": "padded with silence",
    "cropped": "cropped",
    "clipped": "at full scale, where they may have been clipped",
    "silent": "silent",
}
"""The counts on the data card, and how they are told."""


class AudioSurvey:
    """A survey of one place after the other."""

    def __init__(self, data: AudioData) -> None:
        self.data = data
        self.dropped: Counter[str] = Counter()
        self.spec: AudioSpec | None = None
        self._rates: Counter[int] = Counter()
        self._channels: Counter[int] = Counter()
        self._counts: Counter[str] = Counter(dict.fromkeys(TOLD, 0))
        self._samples = 0

    def add(self, listing: Listing) -> WindowedRows:
        """The recordings as rows, without those that can't be read, where the recipe drops these.

        Raises:
            CorruptFileError, DataError: it doesn't, none can be read, or one can't be used.
        """
        self.dropped.update(listing.skipped)
        if listing.broken and self.data.corrupt == "fail":
            raise DataError(
                f"{listing.place}/{listing.broken[0]} is a link that leads nowhere, one of {len(listing.broken)}: mend "
                "them, or set data.corrupt to drop"
            )
        self.dropped.update({"link that leads nowhere": len(listing.broken)} if listing.broken else {})
        names, counts = [], []
        for name in listing.names:
            try:
                counts.append(self._look(listing.read(name), f"{listing.place}/{name}"))
            except CorruptFileError:
                if self.data.corrupt == "fail":
                    raise
                self.dropped["broken or empty recording"] += 1
            else:
                names.append(name)
        if not names:
            raise DataError(f"every recording in {listing.place} is broken or empty: fetch them again")
        assert self.spec is not None  # it is that of the first recording that was read
        return WindowedRows(dataclasses.replace(listing, names=names), np.array(counts, np.int64), self.spec)

    def _look(self, content: bytes, shown: str) -> int:
        """The number of windows of a recording."""
        if self.spec is None:
            channels = 1 if self.data.channels == "mono" else read_header(content, shown).channels
            self.spec = AudioSpec(self.data.rate_hz, self.data.length, channels, longer=self.data.longer)
        found = read_for(content, shown, self.spec)
        self._count(found, self.spec)
        return count_windows(found.x.shape[1], self.spec)

    def _count(self, found: Recording, spec: AudioSpec) -> None:
        samples = found.x.shape[1]
        self._rates[found.header.rate_hz] += 1
        self._channels[found.header.channels] += 1
        self._samples += samples
        self._counts.update(
            resampled=found.header.rate_hz != spec.rate_hz,
            dulled=found.lost > MOST_LOST,
            mixed=found.header.channels != spec.channels,
            padded=samples < count_windows(samples, spec) * spec.length,
            cropped=found.cropped,
            clipped=found.clipped,
            silent=not found.x.any(),
        )

    @property
    def findings(self) -> dict[str, Any]:
        """Findings for the data card: counts are of recordings, as they were before any was cut into windows."""
        return {
            "count": self._rates.total(),
            "seconds": round(self._samples / self.data.rate_hz, 3),
            "rates_hz": {str(rate): count for rate, count in sorted(self._rates.items())},
            "channels": {str(channels): count for channels, count in sorted(self._channels.items())},
            **self._counts,
        }

    @property
    def note(self) -> str:
        """A line on what was done with them."""
        found = self.findings
        counts = ", ".join(f"{found[key]:,} {said}" for key, said in TOLD.items() if found[key])
        return f"{found['count']:,} recordings, {found['seconds']:,.1f} s" + (f": {counts}" if counts else "")
