"""An .npy file, written whole, or read a few rows at a time without filling the memory."""

import io
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.parts import Array, Indices

KEPT = 64 * 2**20  # bytes of the file that may stay mapped
SWEPT = 4 * 2**20  # bytes of a slice, whose pages nobody asks for again
AROUND = 2 * 2**20  # bytes that the system may map around each that is read: a page of its largest kind


class MappedArray:
    """Rows of an .npy file; what indices or a slice of the first axis give is a copy.

    The pages of a memory map count as the process's own memory for as long as they are mapped: they are let go
    whenever `KEPT` bytes may have come together, and the system's cache keeps them where it has room.
    """

    def __init__(self, path: Path) -> None:
        self._rows = np.load(path, mmap_mode="r", allow_pickle=False)
        self._touched = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The whole array's, as numpy has it."""
        return tuple(self._rows.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of every value."""
        dtype: np.dtype[Any] = self._rows.dtype
        return dtype

    @property
    def nbytes(self) -> int:
        """The whole array's, as numpy has it."""
        return int(self._rows.nbytes)

    def __len__(self) -> int:
        return len(self._rows)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Read the whole array into memory."""
        if copy is False:
            raise ValueError("a mapped array can't become an array without a copy")
        return self[:] if dtype is None else self[:].astype(dtype)

    def __getitem__(self, rows: int | slice | Indices) -> Array:
        if isinstance(rows, int):
            return np.asarray(self[np.array([rows])][0])
        if isinstance(rows, slice):  # neighbours share their pages
            rows, each, kept = np.arange(*rows.indices(len(self))), self.nbytes // max(1, len(self)), SWEPT
        else:
            each, kept = AROUND + self.nbytes // max(1, len(self)), KEPT
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        at_once = max(1, kept // max(1, each))
        for start in range(0, len(rows), at_once):
            some = rows[start : start + at_once]
            values[start : start + at_once] = np.take(self._rows, some, 0)  # other threads run meanwhile
            self._let_go(len(some) * each, kept // 2)
        return values

    def expect_any_order(self) -> None:
        """Tell the system that reading what lies beside a row is of no use."""
        if hasattr(mmap, "MADV_RANDOM"):
            self._rows._mmap.madvise(mmap.MADV_RANDOM)

    def _let_go(self, read: int, most: int) -> None:
        self._touched += read
        if self._touched >= most and hasattr(mmap, "MADV_DONTNEED"):
            self._rows._mmap.madvise(mmap.MADV_DONTNEED)
            self._touched = 0


def save_array(path: Path, array: Array) -> None:
    """Write an .npy file."""
    # np.save writes to a file past Python, and on a full disk gives an error that doesn't say so.
    buffer = io.BytesIO()
    np.save(buffer, array)
    path.write_bytes(buffer.getvalue())
