"""A look at a folder or an archive of recordings: their rates, their durations, and what their folders say."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vae_pipeline.kinds.audio.decoding import MOST_LOST, Header, read_header, read_recording
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.listing import list_recordings
from vae_pipeline.scaffold.facts import AudioFacts
from vae_pipeline.scaffold.looking.found import Found, Places, require_enough
from vae_pipeline.scaffold.looking.layout import division, labels_of, parts_of, told_parts
from vae_pipeline.system.errors import CorruptFileError, DataError

SAMPLE = 300  # recordings that are looked at
HEARD, HEARD_S = 30, 10  # recordings whose samples are looked at, and the seconds of each from its beginning
FEW = 0.1  # of them, of which a lower rate may lose much
MOST_HZ = 16_000  # samples a second, to which faster recordings are brought if little is lost by that
MOST_S = 2.0  # seconds, up to which recordings are taken whole
WINDOW_S = 1.0  # seconds of a window of longer ones
BLOCK = 1024  # samples, of which a length is a multiple


def look_at_recordings(path: Path, places: Places) -> Found:
    """The recordings of a folder or an archive.

    Raises:
        DataError: there are too few that can be read.
    """
    parts = parts_of(path)
    listed = {name: list_recordings(place) for name, place in parts.items()}
    files = sum(len(part.names) for part in listed.values())
    headers, broken = _sample(list(listed.values()), path)
    dull, heard = _dulled(list(listed.values()))
    durations_s = sorted(header.samples / header.rate_hz for header in headers)
    rates = Counter(header.rate_hz for header in headers)
    usual_hz = rates.most_common(1)[0][0]
    rate_hz = usual_hz if dull > FEW * heard else min(MOST_HZ, usual_hz)
    usual_s = durations_s[math.ceil(0.95 * len(durations_s)) - 1]
    longer = "crop" if usual_s <= MOST_S else "windows"
    length = BLOCK * math.ceil((usual_s if longer == "crop" else WINDOW_S) * rate_hz / BLOCK)
    each = 1.0 if longer == "crop" else statistics.mean(math.ceil(s * rate_hz / length) for s in durations_s)
    count = round(files * each)
    notes = require_enough(count, "recordings" if longer == "crop" else "windows of recordings", path)
    labels, classes, told = labels_of(listed, files, "recording")
    skipped = sum((part.skipped for part in listed.values()), Counter[str]())
    links = sum(len(part.broken) for part in listed.values())
    hertz = ", ".join(f"{rate:,}" for rate in sorted(rates))
    said = [
        f"{files:,} recordings of {durations_s[0]:.3g} to {durations_s[-1]:.3g} s at {hertz} Hz",
        f"over a tenth of the energy of {dull} of {heard} that were heard lies above {MOST_HZ // 2:,} Hz, which "
        + ("is kept" if rate_hz > MOST_HZ else "is lost: data.rate_hz changes that")
        if dull else "",
        f"brought to {length / rate_hz:.4g} s at {rate_hz:,} Hz, "
        + ("longer ones cropped" if longer == "crop" else f"in about {count:,} windows"),
        "mixed to mono" if any(header.channels > 1 for header in headers) else "",
        told,
        told_parts(listed),
        f"{broken} of {len(headers) + broken} that were looked at are broken: such are left out, and counted"
        if broken else "",
        f"{links} links lead nowhere: they are left out" if links else "",
        *(f"passed over: {number} x {reason}" for reason, number in skipped.items()),
        *notes,
    ]  # fmt: skip
    named = {
        key: {"path": each} if isinstance(each, str) else each for key, each in division(parts, count, places).items()
    }
    data: dict[str, Any] = {
        "kind": "audio",
        "rate_hz": rate_hz,
        "seconds": length / rate_hz,
        "longer": longer,
        "channels": "mono",
        "labels": labels,
        "corrupt": "drop" if broken or links else "fail",
        **named,
    }
    facts = AudioFacts(count, rate_hz, length, classes)
    return Found(facts, data, f"{files:,} recordings", [line for line in said if line])


def _dulled(parts: Sequence[Listing]) -> tuple[int, int]:
    """The number of recordings that lose much of their energy at `MOST_HZ`, and of those that were heard."""
    every = [(part, name) for part in parts for name in part.names]
    lost = []
    for part, name in every[:: max(1, len(every) // HEARD)]:
        with suppress(CorruptFileError):
            found = read_recording(part.read(name), f"{part.place}/{name}", MOST_HZ, True, HEARD_S * MOST_HZ)
            lost.append(found.lost)
    return sum(each > MOST_LOST for each in lost), len(lost)


def _sample(parts: Sequence[Listing], path: Path) -> tuple[list[Header], int]:
    """The headers of some recordings, evenly spread over the parts, and how many were broken."""
    every = [(part, name) for part in parts for name in part.names]
    headers, broken = [], 0
    for part, name in every[:: max(1, len(every) // SAMPLE)]:
        try:
            header = read_header(part.read(name), f"{part.place}/{name}")
        except CorruptFileError:
            broken += 1
        else:
            headers += [header] if header.samples else []
            broken += not header.samples
    if not headers:
        raise DataError(f"every recording in {path} that was looked at is broken or empty: fetch them again")
    return headers, broken
