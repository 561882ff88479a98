"""A look at a folder or an archive of pictures: their sizes, their colours, and what their folders say."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_pipeline.kinds.image.decoding import is_grey, size_of
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.listing import list_pictures
from vae_pipeline.scaffold.facts import ImageFacts
from vae_pipeline.scaffold.looking.found import Found, Places, require_enough
from vae_pipeline.scaffold.looking.layout import division, labels_of, parts_of, told_parts
from vae_pipeline.system.errors import CorruptFileError, DataError

SAMPLE = 300  # pictures that are looked at
MOST_SIDE = 64  # pixels, to which larger pictures are brought: four times as many take four times as long
LARGEST_SIDE = 96  # pixels of pictures of one size that are taken as they are


@dataclass(frozen=True)
class Sample:
    """Sizes of pictures that were looked at, and whether all are grey."""

    sizes: Counter[tuple[int, int]]
    grey: bool
    corrupt: int
    looked_at: int


def look_at_pictures(path: Path, places: Places) -> Found:
    """The pictures of a folder or an archive.

    Raises:
        DataError: there are too few that can be read.
    """
    parts = parts_of(path)
    listed = {name: list_pictures(place) for name, place in parts.items()}
    count = sum(len(part.names) for part in listed.values())
    notes = require_enough(count, "pictures", path)
    sample = _sample(list(listed.values()), path)
    shape, resize, sizes = shape_of(sample)
    labels, classes, told = labels_of(listed, count, "picture")
    skipped = sum((part.skipped for part in listed.values()), Counter[str]())
    broken = sum(len(part.broken) for part in listed.values())
    corrupt = "drop" if sample.corrupt or broken else "fail"
    colour = "grey" if sample.grey else "colour"
    said = [
        f"{count:,} {colour} pictures, {sizes}",
        f"brought to {shape[2]}x{shape[1]}: data.shape and data.resize change that" if resize != "none" else "",
        told,
        told_parts(listed),
        f"{sample.corrupt} of {sample.looked_at} that were looked at are corrupt: such are left out, and counted"
        if sample.corrupt else "",
        f"{broken} links lead nowhere: they are left out" if broken else "",
        *(f"passed over: {number} x {reason}" for reason, number in skipped.items()),
        *notes,
    ]  # fmt: skip
    data: dict[str, Any] = {
        "kind": "folder",
        "shape": list(shape),
        "resize": resize,
        "labels": labels,
        "corrupt": corrupt,
        **division(parts, count, places),
    }
    facts = ImageFacts(count, shape, "uint8", (0, 255), False, classes)
    return Found(facts, data, f"{count:,} {colour} pictures", [line for line in said if line])


def _sample(parts: Sequence[Listing], path: Path) -> Sample:
    """Some pictures, evenly spread over the parts."""
    every = [(part, name) for part in parts for name in part.names]
    step = max(1, len(every) // SAMPLE)
    sizes: Counter[tuple[int, int]] = Counter()
    grey, corrupt, looked_at = True, 0, 0
    for part, name in every[::step]:
        looked_at += 1
        shown = f"{part.place}/{name}"
        try:
            content = part.read(name)
            size = size_of(content, shown)
            grey = is_grey(content, shown) and grey
        except CorruptFileError:
            corrupt += 1
        else:
            sizes[size] += 1
    if not sizes:
        raise DataError(f"every picture in {path} that was looked at is truncated or corrupt: fetch them again")
    return Sample(sizes, grey, corrupt, looked_at)


def shape_of(sample: Sample) -> tuple[tuple[int, int, int], str, str]:
    """The shape that pictures are brought to, how, and their sizes in words."""
    channels = 1 if sample.grey else 3
    if len(sample.sizes) == 1:
        ((height, width),) = sample.sizes
        longer = max(height, width)
        if longer <= LARGEST_SIDE:
            return (channels, height, width), "none", f"each {width}x{height}"
        scaled = (max(1, round(side * MOST_SIDE / longer)) for side in (height, width))
        return (channels, *scaled), "stretch", f"each {width}x{height}"  # type: ignore[return-value]
    heights, widths = zip(*sample.sizes, strict=True)
    shorter = statistics.median_low([min(size) for size in sample.sizes.elements()])
    side = max(1, min(shorter, MOST_SIDE))
    ranges = f"{min(widths)} to {max(widths)} wide and {min(heights)} to {max(heights)} high"
    sizes = f"of {len(sample.sizes)} sizes or more, {ranges}"
    return (channels, side, side), "crop", sizes
