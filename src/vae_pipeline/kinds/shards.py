"""An array whose rows are dealt to several files in turn, so that no machine needs all of them.

Of S files, NAME-00000-of-00004.npy and so on, file i mod S holds row i, as its row i // S.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from vae_pipeline.kinds.mapped import MappedArray
from vae_pipeline.kinds.parts import Array, Indices
from vae_pipeline.system.errors import DataError


def names_of(part: str, shards: int | None) -> list[str]:
    """The files of a part's rows; a single one where `shards` is None."""
    if shards is None:
        return [f"{part}.npy"]
    return [f"{part}-{shard:05d}-of-{shards:05d}.npy" for shard in range(shards)]


def paths_of(folder: Path, part: str, rows: int, shards: int | None) -> list[Path]:
    """The files that so many rows of a part are written to: of the training part, as many as `shards`.

    Raises:
        DataError: there are fewer rows than shards.
    """
    shards = shards if part == "train" else None
    if shards is not None and rows < shards:
        raise DataError(f"data.shards is {shards}, and there are {rows} training examples: take fewer shards")
    return [folder / name for name in names_of(part, shards)]


def shards_among(names: Collection[str]) -> int | None:
    """The number of shards of the training part among the names of prepared files; None where it is whole."""
    count = sum(name.startswith("train-") for name in names)
    return count or None


def require_there(folder: Path, names: Collection[str]) -> None:
    """Refuse to go on without some files of shards.

    Raises:
        DataError: one isn't in the folder.
    """
    lacking = [name for name in names if not (folder / name).exists()]
    if lacking:
        more = f" and {len(lacking) - 1} more" if lacking[1:] else ""
        raise DataError(
            f"{folder} lacks {lacking[0]}{more}, shards of the training part that are read here: copy them from where "
            "the data were prepared, or run this there"
        )


class RowFiles:
    """The .npy files that rows are dealt to as they come, not through a memory map: on a full disk that ends the
    process instead of raising an error."""

    def __init__(self, paths: Sequence[Path], count: int, shape: Sequence[int], dtype: str) -> None:
        self._stack, self._next = ExitStack(), 0
        self._files = [self._stack.enter_context(path.open("wb")) for path in paths]
        for place, file in enumerate(self._files):
            header = {
                "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                "fortran_order": False,
                "shape": (len(range(place, count, len(paths))), *shape),
            }
            np.lib.format.write_array_header_1_0(file, header)

    def write(self, rows: Array) -> None:
        """Deal the rows that come next."""
        for place, file in enumerate(self._files):
            first = (place - self._next) % len(self._files)
            file.write(np.ascontiguousarray(rows[first :: len(self._files)]).data)
        self._next += len(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stack.close()


class Shards:
    """Rows of an array in several files, some of which may lie on other machines; what is read is a copy."""

    def __init__(self, files: Mapping[int, MappedArray], count: int, shape: tuple[int, ...], dtype: str) -> None:
        """`files` are those that this process reads, of `count`; `shape` and `dtype` are the whole array's."""
        self.files, self.count = files, count
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.elsewhere: Callable[[Indices], Array] | None = None
        """The way to rows of other processes, while they answer."""

    @property
    def place(self) -> int:
        """The place of this process among those that train together: its shards are every so many from there on."""
        return min(self.files)

    @property
    def nbytes(self) -> int:
        """The whole array's, as numpy has it."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Read the whole array into memory."""
        if copy is False:
            raise ValueError("shards can't become an array without a copy")
        return self[:] if dtype is None else self[:].astype(dtype)

    def __getitem__(self, rows: int | slice | Indices) -> Array:
        if isinstance(rows, int):
            return np.asarray(self[np.array([rows])][0])
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for shard, file in self.files.items():
            here = np.flatnonzero(rows % self.count == shard)
            values[here] = file[_together(rows[here] // self.count)]
        there = np.flatnonzero(~self.has(rows))
        if len(there):
            if self.elsewhere is None:
                raise DataError(f"row {rows[there[0]]} of the training part lies with another process")
            values[there] = self.elsewhere(rows[there])
        return values

    def has(self, rows: Indices) -> Any:
        """True for each of the rows that this process reads itself."""
        return np.isin(rows % self.count, list(self.files))

    def expect_any_order(self) -> None:
        """Tell the system that reading what lies beside a row is of no use."""
        for file in self.files.values():
            file.expect_any_order()


def _together(rows: Indices) -> slice | Indices:
    """A slice, which is read with fewer steps, where rows follow each other."""
    follow = len(rows) > 1 and bool((np.diff(rows) == 1).all())
    return slice(int(rows[0]), int(rows[-1]) + 1) if follow else rows
