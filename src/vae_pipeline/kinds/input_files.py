"""Files that hold observations: arrays, pictures, recordings, folders of them, tables, or `-`, a pipe."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.archives import is_archive
from vae_pipeline.kinds.audio import decoding as audio
from vae_pipeline.kinds.audio.windows import count_windows, read_for, windows
from vae_pipeline.kinds.image.decoding import SUFFIXES, Resize, in_units, read_picture, size_of
from vae_pipeline.kinds.listing import list_pictures, list_recordings
from vae_pipeline.kinds.spec import AudioSpec, ImageSpec, TableSpec
from vae_pipeline.kinds.table.spec import is_table
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
ARRAYS = (".npy", ".npz")
BEGINNINGS = (b"\x93N", b"PK")  # of these files


@dataclass(frozen=True)
class Piece:
    """Some observations of a file."""

    count: int
    read: Callable[[slice], Array]
    """Some of them; raises DataError if one can't be used."""
    kept: Mapping[str, list[Any]]


@dataclass(frozen=True)
class InputFile:
    """A file of observations, looked at but not read."""

    file: str
    count: int
    pieces: Callable[[], Iterable[Piece]]
    changed: str = ""
    """The change that its observations undergo when they are read, in words."""


def input_files(
    path: Path,
    spec: ImageSpec | AudioSpec | TableSpec,
    key: str | None,
    resize: Resize,
    keep: Sequence[str],
    number: int = 1,
) -> Iterator[InputFile]:
    """The files that a path stands for: of a folder or an archive each picture, scan or recording, else the one.

    `number` is the path's among the inputs, by which a scan is called.

    Raises:
        DataError: a file isn't there or can't be read.
    """
    noun, suffixes = ("recording", audio.SUFFIXES) if isinstance(spec, AudioSpec) else ("picture", SUFFIXES)
    if isinstance(spec, TableSpec):
        yield _rows(path, spec, key, keep)
    elif isinstance(spec, ImageSpec) and (scans := _scans(path, spec, resize, number)):
        yield from scans
    elif path.is_dir() or (not path.name.lower().endswith(ARRAYS) and is_archive(path)):
        listing = list_recordings(path) if isinstance(spec, AudioSpec) else list_pictures(path)
        if listing.broken:
            raise DataError(f"{path}/{listing.broken[0]} is a link that leads nowhere: mend it, or take it away")
        for name in listing.names:
            yield _file(f"{path}/{name}", partial(listing.read, name), spec, resize)
    elif path.suffix.lower() in suffixes:
        yield _file(str(path), partial(_content, path), spec, resize)
    else:
        yield _array(_as_events(read_array(path, key, noun, suffixes), spec, path), path)


def _scans(path: Path, spec: ImageSpec, resize: Resize, number: int) -> list[InputFile]:
    """Medical scans, where the path holds any."""
    from vae_pipeline.kinds.image.scans.inputs import scan_inputs  # it costs only those who have images

    def file(scan: Any) -> InputFile:
        def read(some: slice) -> Array:
            return np.stack([scan.fit(image, resize) for image in [*scan.read()][some]])

        return InputFile(scan.name, scan.images, lambda: [Piece(scan.images, read, {})])

    return [file(scan) for scan in scan_inputs(path, spec, number)]


def as_large_as(path: Path, spec: ImageSpec, key: str | None) -> ImageSpec:
    """The spec with height and width of the first image that a path stands for; as it is, of a pipe or of its own size.

    Raises:
        DataError: the file isn't there or can't be read.
    """
    if str(path) == "-" or spec.scans is not None:  # scans are brought to the size that it was trained on
        return spec
    if path.is_dir() or (not path.name.lower().endswith(ARRAYS) and is_archive(path)):
        pictures = list_pictures(path)
        sides = [size_of(pictures.read(name), f"{path}/{name}") for name in pictures.names[:1]]
    elif path.suffix.lower() in SUFFIXES:
        sides = [size_of(_content(path), str(path))]
    else:
        array = read_array(path, key)
        sides = [] if _fits(array, spec) or array.ndim < 2 or 0 in array.shape else [array.shape[-2:]]
    return replace(spec, shape=(spec.shape[0], *sides[0])) if sides else spec


def _rows(path: Path, spec: TableSpec, key: str | None, keep: Sequence[str]) -> InputFile:
    """Rows of a table in the order of the spec's columns; of an .npy or an .npz with a key, as they are."""
    if path.suffix.lower() == ".npy" or key is not None or str(path) == "-":
        if keep:
            raise DataError(f"{path} is an array, which has no column {keep[0]} to keep: give a table")
        return _array(read_array(path, key), path)
    from vae_pipeline.kinds.table.files import find_rows
    from vae_pipeline.kinds.table.frames import encode

    if path.is_dir() and not any(is_table(file) for file in path.iterdir()):
        raise DataError(
            f"{path} is a folder: a table (.csv, .parquet, .jsonl, .npz) or an array of rows (.npy) is wanted"
        )
    found = find_rows(path, spec, keep)

    def piece(frame: Any) -> Piece:
        return Piece(
            len(frame),
            lambda some: encode(frame.iloc[some], spec.columns, str(path), found.written),
            {name: frame[name].tolist() for name in keep},
        )

    return InputFile(str(path), found.count, lambda: map(piece, found.file.frames()))


def _array(array: Array, path: Path) -> InputFile:
    count = len(array) if array.ndim else 0
    return InputFile(str(path), count, lambda: [Piece(count, array.__getitem__, {})])


def _file(shown: str, content: Callable[[], bytes], spec: ImageSpec | AudioSpec, resize: Resize) -> InputFile:
    if isinstance(spec, ImageSpec):
        return _picture(shown, content, spec, resize)
    return _recording(shown, content, spec)


def _recording(shown: str, content: Callable[[], bytes], spec: AudioSpec) -> InputFile:
    header = audio.read_header(content(), shown)
    samples = audio.count_at_rate(header.samples, header.rate_hz, spec.rate_hz)
    count = count_windows(samples, spec)
    changes = {
        f"{header.rate_hz:,} samples a second become {spec.rate_hz:,}": header.rate_hz != spec.rate_hz,
        f"{header.channels} channels are mixed": header.channels > spec.channels == 1,
        f"of {samples / spec.rate_hz:.3g} s the first {spec.seconds:.3g} are taken": samples > count * spec.length,
    }

    def read(some: slice) -> Array:
        return windows(read_for(content(), shown, spec).x, spec)[some]

    changed = ", ".join(change for change, made in changes.items() if made)
    return InputFile(shown, count, lambda: [Piece(count, read, {})], changed)


def _picture(shown: str, content: Callable[[], bytes], spec: ImageSpec, resize: Resize) -> InputFile:
    def read(_: slice) -> Array:
        return _read_picture(content(), shown, spec, resize)

    return InputFile(shown, 1, lambda: [Piece(1, read, {})])


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"can't read {path}: {(error.strerror or '').lower()}") from error


def read_array(path: Path, key: str | None = None, noun: str = "picture", suffixes: Sequence[str] = SUFFIXES) -> Array:
    """One array of an .npy or .npz, or of one that comes by standard input; never unpickled.

    `noun` and `suffixes` are of the other files that may be given in its place.

    Raises:
        DataError: the file isn't there, is corrupt, or holds several arrays and no key says which.
    """
    try:
        file = io.BytesIO(sys.stdin.buffer.read()) if str(path) == "-" else path.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{path} isn't there: mend the path") from error
    except OSError as error:
        raise DataError(f"can't read {path}: {(error.strerror or '').lower()}") from error
    with file:
        beginning = file.read(2)
        file.seek(0)
        if not any(known.startswith(beginning) for known in BEGINNINGS):
            raise DataError(
                f"{path} isn't an array (.npy, .npz), a {noun} ({', '.join(suffixes)}) or an archive of {noun}s "
                "(.zip, .tar): convert it to one of these"
            )
        try:
            loaded = np.load(file, allow_pickle=False)
        except Exception as error:  # a corrupt header raises nearly anything
            raise DataError(f"{path} isn't a whole .npy or .npz of numbers ({error})") from error
        if isinstance(loaded, np.ndarray):
            return loaded
        names = list(loaded.keys())
        if key is None and len(names) == 1:
            key = names[0]
        if key not in names:
            lacking = "" if key is None else f", and no {key}"
            raise DataError(f"{path} holds the arrays {', '.join(names)}{lacking}: say which with --key")
        try:
            return np.asarray(loaded[key])
        except Exception as error:  # a corrupt member raises whatever its decoder does
            raise DataError(f"{path} isn't a whole .npz ({error})") from error


def _read_picture(content: bytes, shown: str, spec: ImageSpec, resize: Resize) -> Array:
    if spec.shape[0] not in (1, 3):
        raise DataError(f"{shown} is a picture, but this model takes {spec.shape[0]} channels: give .npy or .npz")
    pixels = read_picture(content, shown, spec.shape, resize, spec.levels, spec.crop)
    return in_units(pixels[None], spec)


def _as_events(array: Array, spec: ImageSpec | AudioSpec, path: Path) -> Array:
    """One observation or many; a missing axis of one channel, or flat rows, are put right."""
    if _fits(array, spec):
        return array.reshape(-1, *spec.event_shape)
    wanted = ", ".join(map(str, spec.event_shape))
    raise DataError(f"{path} holds an array of shape {list(array.shape)}; wanted [examples, {wanted}]")


def _fits(array: Array, spec: ImageSpec | AudioSpec) -> bool:
    channels, *inside = spec.event_shape
    shapes = [spec.event_shape, (spec.dimensions,), *([tuple(inside)] if channels == 1 else [])]
    return any(shape in (array.shape, array.shape[1:]) for shape in shapes)
