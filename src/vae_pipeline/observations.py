"""Observations from what a user names: arrays, pictures, folders and archives of them, tables, text, or `-`, a pipe."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from vae_pipeline.data.listing import is_archive, list_pictures
from vae_pipeline.decoding import SUFFIXES, Resize, read_picture
from vae_pipeline.errors import DataError
from vae_pipeline.spec import DataSpec, ImageSpec, TableSpec, TextSpec

Array = npt.NDArray[Any]
ARRAYS = (".npy", ".npz")
BEGINNINGS = (b"\x93N", b"PK")  # of these files


def read_observations(
    paths: Sequence[Path], spec: DataSpec, key: str | None, resize: Resize, column: str | None = None
) -> Array:
    """All observations of `paths` in their order, as [examples, *event] in the data's units.

    Pictures are mapped from 0..255 to the range of the data; arrays are taken as they are; a table's columns are
    found by their names; sentences are lines, or those of a table's `column`.

    Raises:
        DataError: a file isn't there, can't be read, or is of another shape.
    """
    if not paths:
        raise DataError("no input was given: name .npy, .npz or picture files, folders or archives of them, or tables")
    match spec:
        case ImageSpec():
            return np.concatenate([_read(path, spec, key, resize) for path in paths])
        case TableSpec():
            return np.concatenate([_read_rows(path, spec, key) for path in paths])
        case TextSpec():
            from vae_pipeline.spec.tokens import Tokens

            return Tokens.of(spec).observations(read_sentences(paths, spec, column)[0])
        case _:
            assert_never(spec)


def read_sentences(paths: Sequence[Path], spec: TextSpec, column: str | None) -> tuple[list[str], list[int]]:
    """Those of texts, one a line, or of a `column` of tables; and the number of each one's line or row in its file.

    Raises:
        DataError: a file can't be read or used, or the model takes no sentence of some line's length.
    """
    from vae_pipeline.data.lines import read_lines
    from vae_pipeline.spec.tokens import Tokens

    texts: list[str] = []
    numbers: list[int] = []
    places: list[str] = []
    for path in paths:
        lines = read_lines(path, column)
        texts += lines.texts
        numbers += lines.numbers
        places += [f"{'line' if column is None else 'row'} {number} of {path}" for number in lines.numbers]
    Tokens.of(spec).observations(texts, places)
    return texts, numbers


def _read_rows(path: Path, spec: TableSpec, key: str | None) -> Array:
    """Rows of a table in the order of the spec's columns; of an .npy or an .npz with a key, as they are."""
    if path.is_dir():
        raise DataError(f"{path} is a folder: a table (.csv, .parquet, .npz) or an array of rows (.npy) is wanted")
    if path.suffix.lower() == ".npy" or key is not None:
        return read_array(path, key)
    from vae_pipeline.data.frames import encode
    from vae_pipeline.data.table_files import read_rows

    frame, written = read_rows(path, spec)
    return encode(frame, spec.columns, str(path), written)


def _read(path: Path, spec: ImageSpec, key: str | None, resize: Resize) -> Array:
    if path.is_dir() or (not path.name.lower().endswith(ARRAYS) and is_archive(path)):
        pictures = list_pictures(path)
        if pictures.broken:
            raise DataError(f"{path}/{pictures.broken[0]} is a link that leads nowhere: mend it, or take it away")
        named = ((name, f"{path}/{name}") for name in pictures.names)
        return np.concatenate([_read_picture(pictures.read(name), shown, spec, resize) for name, shown in named])
    if path.suffix.lower() in SUFFIXES:
        return _read_picture(_content(path), str(path), spec, resize)
    return _as_events(read_array(path, key), spec, path)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"can't read {path}: {(error.strerror or '').lower()}") from error


def read_array(path: Path, key: str | None = None) -> Array:
    """One array of an .npy or .npz, or of one that comes by standard input; never unpickled.

    Raises:
        DataError: the file isn't there, is corrupt, or holds several arrays and no key says which.
    """
    try:
        file = io.BytesIO(sys.stdin.buffer.read()) if str(path) == "-" else path.open("rb")
    except FileNotFoundError as error:
        raise DataError(f"{path} isn't there") from error
    except OSError as error:
        raise DataError(f"can't read {path}: {(error.strerror or '').lower()}") from error
    with file:
        beginning = file.read(2)
        file.seek(0)
        if not any(known.startswith(beginning) for known in BEGINNINGS):
            raise DataError(
                f"{path} isn't an array (.npy, .npz), a picture ({', '.join(SUFFIXES)}) or an archive of pictures "
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
            raise DataError(f"{path} holds the arrays {', '.join(names)}: say which with --key")
        try:
            return np.asarray(loaded[key])
        except Exception as error:  # a corrupt member raises whatever its decoder does
            raise DataError(f"{path} isn't a whole .npz ({error})") from error


def _read_picture(content: bytes, shown: str, spec: ImageSpec, resize: Resize) -> Array:
    if spec.shape[0] not in (1, 3):
        raise DataError(f"{shown} is a picture, but this model takes {spec.shape[0]} channels: give .npy or .npz")
    pixels = read_picture(content, shown, spec.shape, resize, spec.levels)
    scaled = spec.low + pixels[None] / 255 * (spec.high - spec.low)
    return (np.rint(scaled) if spec.dtype == "uint8" else scaled).astype(spec.dtype)


def _as_events(array: Array, spec: ImageSpec, path: Path) -> Array:
    """One observation or many; a missing axis of one channel, or flat rows, are put right."""
    channels, height, width = spec.shape
    for shape in (spec.shape, (height, width), (spec.dimensions,)):
        if shape == (height, width) and channels != 1:
            continue
        if array.shape == shape or array.shape[1:] == shape:
            return array.reshape(-1, *spec.shape)
    raise DataError(
        f"{path} holds an array of shape {list(array.shape)}; wanted [examples, {channels}, {height}, {width}]"
    )
