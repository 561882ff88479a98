"""Observations from what a user names: arrays, pictures, recordings, folders of them, tables, or `-`, a pipe."""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, assert_never

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.image.decoding import Resize
from vae_pipeline.kinds.input_files import InputFile, Piece, input_files
from vae_pipeline.kinds.raw import checked
from vae_pipeline.kinds.spec import AudioSpec, DataSpec, ImageSpec, TableSpec, TextSpec
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
OnError = Literal["refuse", "skip", "mark"]
"""Policies for unusable inputs: take no input at all; take the others; take the others, and say why for each."""
MOST_FAULTS = 10_000
ROWS, CELLS = 2**16, 2**22  # read at a time: observations, and values of them


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


def read_observations(paths: Sequence[Path], spec: DataSpec, key: str | None, resize: Resize) -> Array:
    """All observations of `paths` in their order, as [examples, *event] in the data's units.

    Pictures are mapped from 0..255 to the range of the data; scans are read as those of the data were; recordings get
    the spec's rate and length; arrays are taken as they are; a table's columns are found by their names. For sentences
    there is `text.inputs.read_sentences`.

    Raises:
        DataError: a file isn't there, can't be read, or is of another shape; or the model is one of sentences.
    """
    return Examples(paths, spec, key, resize).all().x


class Examples:
    """The observations of `paths` in their order, and of tables the columns to `keep` beside them: looked at, not read.

    Unless what can't be used is refused, the rest is read, and told apart.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        spec: DataSpec,
        key: str | None,
        resize: Resize,
        on_error: OnError = "refuse",
        keep: Sequence[str] = (),
    ) -> None:
        """Find the files and how many observations there are.

        A recording that is resampled, mixed or cropped is told by a UserWarning.

        Raises:
            DataError: a file isn't there or can't be read; or the model is one of sentences.
        """
        match spec:
            case ImageSpec() | AudioSpec() | TableSpec():
                numbered = enumerate(_some(paths), 1)
                self.parts = [part for at, path in numbered for part in input_files(path, spec, key, resize, keep, at)]
            case TextSpec():
                raise DataError("this model is one of sentences, which are no images, recordings or rows of a table")
            case _:
                assert_never(spec)
        changed = [part for part in self.parts if part.changed]
        if changed:
            others = f" (one of {len(changed):,} files that are changed)" if len(changed) > 1 else ""
            warnings.warn(f"{changed[0].file}: {changed[0].changed}{others}", UserWarning, stacklevel=2)
        self.spec, self.on_error = spec, on_error
        self.count = sum(part.count for part in self.parts)

    def all(self) -> Observed:
        """All of them at once.

        Raises:
            DataError: one of them can't be used, or none.
        """
        return joined(list(self.some()))

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

    def _read(self, part: InputFile, piece: Piece, row: int, some: slice) -> Array:
        """Some of a piece that begins at `row` of its file."""
        x = piece.read(some)
        try:
            checked(x, self.spec, first=row + some.start)  # a bundle checks too, but knows no file
        except DataError as error:
            raise DataError(f"{part.file}: {error}") from error
        return x

    def _usable(
        self, part: InputFile, piece: Piece, row: int, some: slice, faults: dict[int, str], most: int
    ) -> list[Array]:
        """Read the usable ones of some of a piece, halving it until each that can't be used stands alone; note why."""
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
        raise DataError(
            "no input was given: name arrays, pictures or recordings, folders or archives of them, or tables"
        )
    return paths
