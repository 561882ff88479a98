"""A survey of recordings before any is used: which can be read, and what the data card tells of them."""

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from vae_pipeline.kinds.audio.decoding import MOST_LOST, read_header
from vae_pipeline.kinds.audio.look import RecordingLook
from vae_pipeline.kinds.audio.spec import AudioSpec
from vae_pipeline.kinds.blocks import BlockRows, Blocks
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.parts import Array, Indices
from vae_pipeline.recipe.data import AudioData
from vae_pipeline.system.errors import CorruptFileError, DataError
from vae_pipeline.system.workbench import Workbench

TOLD = {
    "resampled": "resampled",
    "dulled": "with over a tenth of their energy above half of data.rate_hz, which is lost",
    "mixed": "mixed to mono",
    "padded": "padded with silence",
    "cropped": "cropped",
    "clipped": "at full scale, where they may have been clipped",
    "silent": "silent",
    "quiet": "that never reach a hundredth of full scale",
    "lopsided": "with a channel that is silent beside one that isn't",
}
"""The counts on the data card, and how they are told."""
QUIET = 0.01
"""The peak under which a recording is quiet."""


@dataclass(frozen=True)
class SurveyedRecordings:
    """The recordings of a place that can be used."""

    listing: Listing
    rows: BlockRows
    """Windows of [channels, length]: those of a recording follow each other."""
    counts: Indices
    """The number of windows of each recording."""

    @property
    def owners(self) -> Indices:
        """The recording of each row."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


class AudioSurvey:
    """A survey of one place after the other."""

    def __init__(self, data: AudioData, bench: Workbench) -> None:
        self.data, self.bench = data, bench
        self.dropped: Counter[str] = Counter()
        self.spec: AudioSpec | None = None
        self._rates: Counter[int] = Counter()
        self._channels: Counter[int] = Counter()
        self._counts: Counter[str] = Counter(dict.fromkeys(TOLD, 0))
        self._samples = 0

    def add(self, listing: Listing) -> SurveyedRecordings:
        """Read all recordings, without those that can't be read, where the recipe drops these.

        Raises:
            CorruptFileError, DataError: it doesn't, none can be read, or one can't be used.
            WorkerError: a process that read some was ended from outside.
        """
        self.dropped.update(listing.skipped)
        if listing.broken and self.data.corrupt == "fail":
            raise DataError(
                f"{listing.place}/{listing.broken[0]} is a link that leads nowhere, one of {len(listing.broken)}: mend "
                "them, or set data.corrupt to drop"
            )
        self.dropped.update({"link that leads nowhere": len(listing.broken)} if listing.broken else {})
        spec = self._spec_of(listing)
        blocks = Blocks(listing, RecordingLook(spec, self.data.corrupt == "drop"), self.bench)
        found = blocks.findings
        kept = np.flatnonzero(~found["corrupt"])
        if len(kept) < len(found):
            self.dropped["broken or empty recording"] += len(found) - len(kept)
        if not len(kept):
            raise DataError(f"every recording in {listing.place} is broken or empty: fetch them again")
        self.spec = spec
        told = found[kept]
        self._count(told, spec)
        used = dataclasses.replace(
            listing,
            names=[listing.names[place] for place in kept.tolist()],
            digest=lambda _: listing.digest(map(bytes, found["digest"])),
        )
        return SurveyedRecordings(used, BlockRows(blocks), told["rows"])

    def _spec_of(self, listing: Listing) -> AudioSpec:
        """The spec; its channels are those of the first recording whose header can be read, where they aren't mixed."""
        if self.spec is not None:
            return self.spec
        for name in listing.names if self.data.channels != "mono" else ():
            try:
                channels = read_header(listing.read(name), f"{listing.place}/{name}").channels
            except CorruptFileError:
                if self.data.corrupt == "fail":
                    raise
            else:
                break
        else:
            channels = 1
        return AudioSpec(self.data.rate_hz, self.data.length, channels, longer=self.data.longer)

    def _count(self, told: Array, spec: AudioSpec) -> None:
        samples = told["samples"]
        self._rates.update(told["rate_hz"].tolist())
        self._channels.update(told["channels"].tolist())
        self._samples += int(samples.sum())
        of_each = {
            "resampled": told["rate_hz"] != spec.rate_hz,
            "dulled": told["lost"] > MOST_LOST,
            "mixed": told["channels"] != spec.channels,
            "padded": samples < told["rows"] * spec.length,
            "cropped": told["cropped"],
            "clipped": told["clipped"],
            "silent": told["silent"],
            "quiet": (told["peak"] < QUIET) & ~told["silent"],
            "lopsided": told["lopsided"],
        }
        self._counts.update({name: int(each.sum()) for name, each in of_each.items()})

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
