"""Observations from what a user names: .npy, .npz, PNG or JPEG files, folders of them, tables, text, or `-`, a pipe."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from vae_pipeline.errors import DataError
from vae_pipeline.pictures import SUFFIXES, Resize, read_picture
from vae_pipeline.spec import DataSpec, ImageSpec, TableSpec, TextSpec

Array = npt.NDArray[Any]


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
        raise DataError("no input was given: name .npy, .npz, PNG or JPEG files, folders of pictures, or tables")
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
    if path.suffix.lower() == ".npy" or key is not None:
        return read_array(path, key)
    from vae_pipeline.data.frames import encode, read_frame

    frame = read_frame(path)
    wanted = [column.name for column in spec.columns]
    missing = [name for name in wanted if name not in frame.columns]
    added = [name for name in frame.columns if name not in (*wanted, *spec.ignored)]
    if missing:
        beside = f"; it has others, {', '.join(added)}: is one of them renamed?" if added else ""
        raise DataError(f"{path} lacks the column {', '.join(missing)}{beside}")
    if added:
        raise DataError(f"{path} has the column {', '.join(added)}, which the model doesn't know: leave it out")
    return encode(frame, spec.columns, str(path))


def _read(path: Path, spec: ImageSpec, key: str | None, resize: Resize) -> Array:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if _is_picture(file.relative_to(path)) and file.is_file())
        if not files:
            raise DataError(f"{path} holds no pictures ({', '.join(SUFFIXES)})")
        return np.concatenate([_read_picture(file, spec, resize) for file in files])
    if path.suffix.lower() in SUFFIXES:
        return _read_picture(path, spec, resize)
    return _as_events(read_array(path, key), spec, path)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in path.parts)


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


def _read_picture(path: Path, spec: ImageSpec, resize: Resize) -> Array:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"can't read {path}: {(error.strerror or '').lower()}") from error
    if spec.shape[0] not in (1, 3):
        raise DataError(f"{path} is a picture, but this model takes {spec.shape[0]} channels: give .npy or .npz")
    pixels = read_picture(content, str(path), spec.shape, resize)
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
