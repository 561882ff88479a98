"""Observations from what a user names: arrays, pictures, folders and archives of them, tables, text, or `-`, a pipe."""

import io
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
ROWS, CELLS = 2**16, 2**22  # read at a time: observations, and values of them
ARRAYS = (".npy", ".npz")
BEGINNINGS = (b"\x93N", b"PK")  # of these files


@dataclass(frozen=True)
class Observed:
    """Observations of several files, and where each comes from; some may not be usable."""

    x: Array
    """The usable observations, [examples, *event] in the data's units."""
    usable: npt.NDArray[np.int64]
    """The places of `x` among all observations."""
    files: list[str]
    """The file of each observation."""
    rows: npt.NDArray[np.int64]
    """The place of each observation in its file, from 0."""
    kept: dict[str, list[Any]]
    """Columns that the model doesn't see, a value for each observation."""
    faults: dict[int, str]
    """The reasons why some can't be used, by their places."""

    def origins(self) -> dict[str, Any]:
        """Columns that say which observation is which; file and row only where there are several."""
        where: dict[str, Any] = {"example": np.arange(len(self.files))}
        if len(set(self.files)) > 1:
            where["file"] = self.files
            if self.rows.any():
                where["row"] = self.rows
        return where | self.kept


def joined(found: Sequence[Observed]) -> Observed:
    """One after the other, as one."""
    x = [each.x for each in found if len(each.x)] or [found[0].x]
    return Observed(
        np.concatenate(x),
        np.concatenate([each.usable for each in found]),
        [file for each in found for file in each.files],
        np.concatenate([each.rows for each in found]),
        {name: [value for each in found for value in each.kept[name]] for name in found[0].kept},
        {place: reason for each in found for place, reason in each.faults.items()},
    )


@dataclass(frozen=True)
class _Piece:
    """Some observations of a file."""

    count: int
    read: Callable[[slice], Array]
    """Some of them; raises DataError if one can't be used."""
    kept: Mapping[str, list[Any]]


@dataclass(frozen=True)
class _Part:
    """The observations of one file."""

    file: str
    count: int
    pieces: Callable[[], Iterable[_Piece]]


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

    Raises:
        DataError: as of `Examples`.
    """
    return joined(list(Examples(paths, spec, key, resize, on_error, keep).some()))


class Examples:
    """The observations of `paths` in their order, and of tables the columns to `keep` beside them: looked at, not read.

    Unless what can't be used is refused, the rest is read, and told apart.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        spec: ImageSpec | TableSpec,
        key: str | None,
        resize: Resize,
        on_error: OnError = "refuse",
        keep: Sequence[str] = (),
    ) -> None:
        """Find the files and how many observations there are.

        Raises:
            DataError: a file isn't there or can't be read.
        """
        self.spec, self.on_error = spec, on_error
        self.parts = [part for path in _some(paths) for part in _parts(path, spec, key, resize, keep)]
        self.count = sum(part.count for part in self.parts)

    def some(self) -> Iterator[Observed]:
        """All of them, so many at a time that memory doesn't grow with their number.

        Raises:
            DataError: one of them can't be used, or none.
        """
        size = max(1, min(ROWS, CELLS // math.prod(self.spec.event_shape)))
        waiting: list[Observed] = []
        count = usable = 0
        reason = ""
        for each in self._pieces(size):
            waiting.append(each)
            count, usable = count + len(each.files), usable + len(each.x)
            reason = reason or next(iter(each.faults.values()), "")
            if count >= size:
                yield joined(waiting)
                waiting, count = [], 0
        if not self.count:
            raise DataError("no observations were given")
        if not usable:
            raise DataError(f"none of {self.count} examples can be used, the first because {reason}")
        if waiting:
            yield joined(waiting)

    def _pieces(self, size: int) -> Iterator[Observed]:
        first = 0
        for part in self.parts:
            row = wrong = 0
            for piece in part.pieces():
                for start in range(0, piece.count, size):
                    some = slice(start, min(start + size, piece.count))
                    rows = np.arange(row + some.start, row + some.stop)
                    faults: dict[int, str] = {}
                    if self.on_error == "refuse":
                        x = [self._read(part, piece, row, some)]
                    else:
                        x = self._usable(part, piece, row, some, faults, MOST_FAULTS - wrong)
                    wrong += len(faults)
                    yield Observed(
                        np.concatenate(x) if x else np.empty((0, *self.spec.event_shape)),
                        first + rows[~np.isin(rows, list(faults))],
                        [part.file] * len(rows),
                        rows,
                        {name: values[some] for name, values in piece.kept.items()},
                        {first + place: reason for place, reason in faults.items()},
                    )
                row += piece.count
            first += row

    def _read(self, part: _Part, piece: _Piece, row: int, some: slice) -> Array:
        """Some of a piece that begins at `row` of its file."""
        x = piece.read(some)
        if self.on_error != "refuse" or isinstance(self.spec, TableSpec):  # a bundle checks too, but knows no file
            try:
                checked(x, self.spec, first=row + some.start)
            except DataError as error:
                raise DataError(f"{part.file}: {error}") from error
        return x

    def _usable(
        self, part: _Part, piece: _Piece, row: int, some: slice, faults: dict[int, str], most: int
    ) -> list[Array]:
        """What can be used of some of a piece: halved until what can't be stands alone, and is noted."""
        try:
            return [self._read(part, piece, row, some)]
        except DataError as error:
            if some.stop - some.start == 1:
                faults[row + some.start] = str(error)
                return []
            if len(faults) >= most:
                raise DataError(
                    f"more than {MOST_FAULTS:,} rows of {part.file} can't be used, the last of them because {error}: "
                    "is it a table of another kind?"
                ) from error
        middle = (some.start + some.stop) // 2
        halves = slice(some.start, middle), slice(middle, some.stop)
        return [x for half in halves for x in self._usable(part, piece, row, half, faults, most)]


def _some(paths: Sequence[Path]) -> Sequence[Path]:
    if not paths:
        raise DataError("no input was given: name .npy, .npz or picture files, folders or archives of them, or tables")
    return paths


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
    from vae_pipeline.data.table_files import find_rows, is_table

    if path.is_dir() and not any(is_table(file) for file in path.iterdir()):
        raise DataError(
            f"{path} is a folder: a table (.csv, .parquet, .jsonl, .npz) or an array of rows (.npy) is wanted"
        )
    found = find_rows(path, spec, keep)

    def piece(frame: Any) -> _Piece:
        return _Piece(
            len(frame),
            lambda some: encode(frame.iloc[some], spec.columns, str(path), found.written),
            {name: frame[name].tolist() for name in keep},
        )

    return _Part(str(path), found.count, lambda: map(piece, found.file.frames()))


def _array(array: Array, path: Path) -> _Part:
    count = len(array) if array.ndim else 0
    return _Part(str(path), count, lambda: [_Piece(count, array.__getitem__, {})])


def _picture(shown: str, content: Callable[[], bytes], spec: ImageSpec, resize: Resize) -> _Part:
    def read(_: slice) -> Array:
        return _read_picture(content(), shown, spec, resize)

    return _Part(shown, 1, lambda: [_Piece(1, read, {})])


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
