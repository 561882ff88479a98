"""Observations from what a user names: arrays, pictures, folders and archives of them, tables, text, or `-`, a pipe."""

import dataclasses
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.data.listing import is_archive, list_pictures
from vae_pipeline.decoding import SUFFIXES, Resize, read_picture
from vae_pipeline.errors import DataError
from vae_pipeline.raw import checked
from vae_pipeline.spec import DataSpec, ImageSpec, TableSpec, TextSpec

Array = npt.NDArray[Any]
OnError = Literal["refuse", "skip", "mark"]
"""Policies for unusable inputs: take no input at all; take the others; take the others, and say why for each."""
MOST_FAULTS = 10_000
ARRAYS = (".npy", ".npz")
BEGINNINGS = (b"\x93N", b"PK")  # of these files


@dataclass(frozen=True)
class Observed:
    """Observations of several files, and where each comes from; some may not be usable."""

    x: Array
    """The usable observations, [examples, *event] in the data's units."""
    usable: list[int]
    """The places of `x` among all observations."""
    files: list[str]
    """The file of each observation."""
    rows: list[int]
    """The place of each observation in its file, from 0."""
    kept: dict[str, list[Any]]
    """Columns that the model doesn't see, a value for each observation."""
    faults: dict[int, str]
    """The reasons why some can't be used, by their places."""

    def origins(self) -> dict[str, list[Any]]:
        """Columns that say which observation is which; file and row only where there are several."""
        where: dict[str, list[Any]] = {"example": list(range(len(self.files)))}
        if len(set(self.files)) > 1:
            where["file"] = self.files
            if any(self.rows):
                where["row"] = self.rows
        return where | self.kept


@dataclass(frozen=True)
class _Part:
    """The observations of one file."""

    file: str
    count: int
    read: Callable[[slice], Array]
    """Some of them; raises DataError if one can't be used."""
    kept: dict[str, list[Any]]


def read_observations(
    paths: Sequence[Path], spec: DataSpec, key: str | None, resize: Resize, column: str | None = None
) -> Array:
    """All observations of `paths` in their order, as [examples, *event] in the data's units.

    Pictures are mapped from 0..255 to the range of the data; arrays are taken as they are; a table's columns are
    found by their names; sentences are lines, or those of a table's `column`.

    Raises:
        DataError: a file isn't there, can't be read, or is of another shape.
    """
    if isinstance(spec, TextSpec):
        from vae_pipeline.spec.tokens import Tokens

        return Tokens.of(spec).observations(read_sentences(_some(paths), spec, column)[0])
    return observe(paths, spec, key, resize).x


def observe(
    paths: Sequence[Path],
    spec: ImageSpec | TableSpec,
    key: str | None,
    resize: Resize,
    on_error: OnError = "refuse",
    keep: Sequence[str] = (),
) -> Observed:
    """All observations of `paths` in their order, and of tables the columns to `keep` beside them.

    Unless what can't be used is refused, the rest is read, and told apart.

    Raises:
        DataError: a file isn't there or can't be read; one of its observations can't be used, or none.
    """
    parts = [part for path in _some(paths) for part in _parts(path, spec, key, resize, keep)]
    x: list[Array] = []
    found = Observed(np.empty(0), [], [], [], {name: [] for name in keep}, {})
    for part in parts:
        first = len(found.files)
        faults: dict[int, str] = {}
        if on_error != "refuse":
            x += _usable(part, spec, 0, part.count, faults)
        else:
            x.append(part.read(slice(0, part.count)))
            if isinstance(spec, TableSpec):  # a bundle checks too, but counts the rows of all files as one's
                _check(x[-1], spec, part)
        found.usable.extend(first + row for row in range(part.count) if row not in faults)
        found.faults.update({first + row: reason for row, reason in faults.items()})
        found.files.extend([part.file] * part.count)
        found.rows.extend(range(part.count))
        for name in keep:
            found.kept[name].extend(part.kept[name])
    if not x:
        raise DataError(f"none of {len(found.files)} examples can be used, the first because {found.faults[0]}")
    return dataclasses.replace(found, x=np.concatenate(x))


def _some(paths: Sequence[Path]) -> Sequence[Path]:
    if not paths:
        raise DataError("no input was given: name .npy, .npz or picture files, folders or archives of them, or tables")
    return paths


def _check(x: Array, spec: ImageSpec | TableSpec, part: _Part) -> Array:
    try:
        checked(x, spec)
    except DataError as error:
        raise DataError(f"{part.file}: {error}") from error
    return x


def _usable(part: _Part, spec: ImageSpec | TableSpec, start: int, stop: int, faults: dict[int, str]) -> list[Array]:
    """Usable observations from `start` to `stop`: halved until one that can't be used stands alone, and is noted."""
    try:
        return [_check(part.read(slice(start, stop)), spec, part)]
    except DataError as error:
        if stop - start == 1:
            faults[start] = re.sub(r"\brow 0\b", f"row {start}", str(error))  # of the one that was read
            return []
        if len(faults) >= MOST_FAULTS:
            raise DataError(
                f"more than {MOST_FAULTS:,} rows of {part.file} can't be used, the last of them because {error}: is it "
                "a table of another kind?"
            ) from error
    middle = (start + stop) // 2
    return _usable(part, spec, start, middle, faults) + _usable(part, spec, middle, stop, faults)


def read_sentences(paths: Sequence[Path], spec: TextSpec, column: str | None) -> tuple[list[str], list[int]]:
    """Sentences of texts, one a line, or of a `column` of tables; and the number of each one's line or row in its file.

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


def _parts(
    path: Path, spec: ImageSpec | TableSpec, key: str | None, resize: Resize, keep: Sequence[str]
) -> Iterator[_Part]:
    if isinstance(spec, TableSpec):
        yield _rows(path, spec, key, keep)
    elif path.is_dir() or (not path.name.lower().endswith(ARRAYS) and is_archive(path)):
        pictures = list_pictures(path)
        if pictures.broken:
            raise DataError(f"{path}/{pictures.broken[0]} is a link that leads nowhere: mend it, or take it away")
        for name in pictures.names:
            yield _picture(f"{path}/{name}", partial(pictures.read, name), spec, resize)
    elif path.suffix.lower() in SUFFIXES:
        yield _picture(str(path), partial(_content, path), spec, resize)
    else:
        yield _array(_as_events(read_array(path, key), spec, path), path)


def _rows(path: Path, spec: TableSpec, key: str | None, keep: Sequence[str]) -> _Part:
    """Rows of a table in the order of the spec's columns; of an .npy or an .npz with a key, as they are."""
    if path.suffix.lower() == ".npy" or key is not None or str(path) == "-":
        if keep:
            raise DataError(f"{path} is an array, which has no column {keep[0]} to keep: give a table")
        return _array(read_array(path, key), path)
    from vae_pipeline.data.frames import encode
    from vae_pipeline.data.table_files import is_table, read_rows

    if path.is_dir() and not any(is_table(file) for file in path.iterdir()):
        raise DataError(
            f"{path} is a folder: a table (.csv, .parquet, .jsonl, .npz) or an array of rows (.npy) is wanted"
        )
    frame, written = read_rows(path, spec, keep)

    def read(some: slice) -> Array:
        return encode(frame.iloc[some], spec.columns, str(path), written)

    return _Part(str(path), len(frame), read, {name: frame[name].tolist() for name in keep})


def _array(array: Array, path: Path) -> _Part:
    return _Part(str(path), len(array) if array.ndim else 0, array.__getitem__, {})


def _picture(shown: str, content: Callable[[], bytes], spec: ImageSpec, resize: Resize) -> _Part:
    def read(_: slice) -> Array:
        return _read_picture(content(), shown, spec, resize)

    return _Part(shown, 1, read, {})


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
        raise DataError(f"{path} isn't there: mend the path") from error
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
