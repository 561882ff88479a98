"""Pictures as large as they are, for what is judged in tiles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy.typing as npt

from vae_pipeline.kinds.archives import is_archive
from vae_pipeline.kinds.image.decoding import SUFFIXES, in_units, read_whole
from vae_pipeline.kinds.image.scans.inputs import ScanInput, scan_inputs
from vae_pipeline.kinds.image.spec import ImageSpec
from vae_pipeline.kinds.listing import list_pictures
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class WholePicture:
    """A picture that is read when it is wanted."""

    name: str
    """The place where it lies, in words."""
    place: PurePosixPath
    """Its place under the folder or archive that it was found in, beginning with that one's name."""
    read: Callable[[], Array]
    """Give its raw values [channels, height, width]; a DataError says what is wrong with it."""


def whole_pictures(paths: Sequence[Path], spec: ImageSpec) -> Iterator[WholePicture]:
    """Find the pictures that paths stand for: each is a picture, or a folder or an archive of some; so with scans.

    Each image of a scan is one, in the data's units.

    Raises:
        DataError: one isn't there, is no picture, or the model's images have channels that pictures haven't.
    """
    if spec.shape[0] not in (1, 3):
        raise DataError(f"pictures have 1 or 3 channels, and this model's images {spec.shape[0]}")
    for number, path in enumerate(paths, 1):
        if not path.exists():
            raise DataError(f"{path} isn't there: mend the path")
        if scans := scan_inputs(path, spec, number):
            yield from (each for scan in scans for each in _slices(scan, spec))
        elif path.is_dir() or is_archive(path):
            listing = list_pictures(path)
            for name in listing.names:
                shown, place = f"{path}/{name}", PurePosixPath(path.resolve().name, name)
                yield WholePicture(shown, place, partial(_raw, partial(listing.read, name), shown, spec))
        elif path.suffix.lower() in SUFFIXES:
            yield WholePicture(str(path), PurePosixPath(path.name), partial(_raw, path.read_bytes, str(path), spec))
        else:
            raise DataError(f"{path} is no picture ({', '.join(SUFFIXES)}), folder or archive of pictures: give one")


def _slices(scan: ScanInput, spec: ImageSpec) -> Iterator[WholePicture]:
    for at in range(scan.images):
        which = f"_{at}" if scan.images > 1 else ""
        place = PurePosixPath(f"{PurePosixPath(scan.name).name}{which}")
        yield WholePicture(f"{scan.name}{which}", place, partial(_slice, scan, at, spec))


def _slice(scan: ScanInput, at: int, spec: ImageSpec) -> Array:
    return next(islice(scan.read(), at, None)).astype(spec.dtype)


def _raw(content: Callable[[], bytes], name: str, spec: ImageSpec) -> Array:
    try:
        pixels = read_whole(content(), name, spec.shape[0], spec.levels)
    except OSError as error:
        raise DataError(f"can't read {name}: {(error.strerror or '').lower()}") from error
    return in_units(pixels, spec)
