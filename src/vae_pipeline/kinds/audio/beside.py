"""Recordings beside the data, which corruptions mix in: read once, and divided by patterns of their paths."""

import dataclasses
import re
from collections import Counter
from dataclasses import dataclass

from vae_pipeline.kinds.audio.decoding import Samples
from vae_pipeline.kinds.audio.spec import AudioSpec
from vae_pipeline.kinds.audio.tape import Tape, taped
from vae_pipeline.kinds.audio.windows import read_for
from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.folders import below
from vae_pipeline.kinds.listing import list_recordings
from vae_pipeline.recipe.data import AudioData, Beside
from vae_pipeline.system.errors import CorruptFileError, DataError
from vae_pipeline.system.redaction import redacted


@dataclass
class BesideRecordings:
    """Findings on all that lies beside the data."""

    tapes: dict[str, dict[str, Tape]]
    """The tape of each source and each part."""
    origins: dict[str, str]
    dropped: Counter[str]


def open_beside(data: AudioData, spec: AudioSpec, finder: Finder) -> BesideRecordings:
    """Read the noises and rooms that the data section names, at the rate and channels of a spec.

    Raises:
        DataError: a place can't be had, is empty, or holds a recording that can't be used; or a part has none.
    """
    found = BesideRecordings({}, {}, Counter())
    for name, beside in {"noises": data.noises, "rooms": data.rooms}.items():
        if beside is not None:
            found.tapes[name] = _read(name, beside, data, dataclasses.replace(spec, longer="windows"), finder, found)
    return found


def _read(
    name: str, beside: Beside, data: AudioData, spec: AudioSpec, finder: Finder, found: BesideRecordings
) -> dict[str, Tape]:
    recordings: dict[str, list[Samples]] = {"train": [], "valid": [], "test": []}
    for file in beside.files:
        listing = list_recordings(finder.find(file))
        found.origins[file.path or redacted(file.url or listing.place)] = file.digest or listing.digest(None)
        for each, path in zip(listing.names, below(listing), strict=True):
            try:
                x = read_for(listing.read(each), f"{listing.place}/{each}", spec).x
            except CorruptFileError:
                if data.corrupt == "fail":
                    raise
                found.dropped["broken or empty recording"] += 1
                continue
            if x.any():
                recordings[_part(str(path), beside, name)].append(x)
            else:
                found.dropped[f"silent recording of data.{name}"] += 1
    for part, some in recordings.items():
        if not some:
            raise DataError(
                f"data.{name} has no recording for the {part} part that isn't silent: mend data.{name}.valid and "
                f"data.{name}.test, whose patterns are of paths below each folder or archive"
            )
    return {part: taped(some, f"data.{name}") for part, some in recordings.items()}


def _part(path: str, beside: Beside, name: str) -> str:
    picked = [part for part in ("valid", "test") if re.search(getattr(beside, part).pattern, path)]
    if len(picked) > 1:
        raise DataError(f"{path} matches both data.{name}.valid.pattern and data.{name}.test.pattern: mend one")
    return picked[0] if picked else "train"
