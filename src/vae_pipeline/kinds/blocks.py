"""Files, each read once: in blocks whose rows and findings are kept in files of their own until a data set is whole."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.parts import Array, Indices
from vae_pipeline.system.errors import CorruptFileError, DataError
from vae_pipeline.system.files import content_key, replaced_file, sha256_of
from vae_pipeline.system.progress import going
from vae_pipeline.system.workbench import Workbench
from vae_pipeline.system.workers import share

Range = tuple[float, float]


@dataclass(frozen=True)
class Looked:
    """The outcome of a look at a file."""

    rows: Array | int
    """[rows, *event]; the number of rows where they need the range of all files, and are read once that is known."""
    told: tuple[Any, ...] = ()
    """The values of `Look.told`."""


class Look(ABC):
    """A way to turn a file into rows; every row has the shape `event`."""

    noun: str
    """The word for many of the files."""
    told: tuple[tuple[Any, ...], ...] = ()
    """The fields of what is told of a file, as numpy.dtype has them."""
    dtype: str = "uint8"
    event: tuple[int, ...]
    at_once: int
    """Files in a block: what is lost when a process is killed."""
    dropping: bool = False
    """True if files that can't be read are left out."""

    @property
    @abstractmethod
    def made_of(self) -> list[Any]:
        """Plain values on which rows depend, beside the files."""

    @abstractmethod
    def look(self, content: bytes, name: str, shown: str) -> Looked:
        """Read a file.

        Raises:
            CorruptFileError, DataError: it can't be used.
        """

    def bring(self, content: bytes, name: str, shown: str, levels: Range) -> Array:
        """Read the rows of a file again, once the range of all files is known."""
        raise NotImplementedError


def code_of(*modules: ModuleType) -> list[str]:
    """The sha256 of each module's file."""
    return [sha256_of(Path(str(module.__file__))) for module in modules]


class Blocks:
    """The files of a listing in blocks, which the processes of a workbench read."""

    def __init__(
        self, listing: Listing, look: Look, bench: Workbench, shown: Callable[[str], str] | None = None
    ) -> None:
        """`shown` gives the words by which a message calls a file, if it isn't called by its place and name."""
        self.listing, self.look, self.bench = listing, look, bench
        self.shown = shown or (lambda name: f"{listing.place}/{name}")
        names = listing.names
        self.blocks = [names[start : start + look.at_once] for start in range(0, len(names), look.at_once)]
        generic = [("digest", "u1", 32), ("corrupt", "?"), ("rows", "i8"), ("late", "?")]
        self._fields = np.dtype([*generic, *look.told])

    @cached_property
    def keys(self) -> list[str]:
        """The name of each block's files, another one once what rows are made of, a file or the code changes."""
        told = [*self.look.made_of, self.look.dropping, sha256_of(Path(__file__))]
        keys = []
        for start, block in zip(self._starts, self.blocks, strict=True):
            self._tell("dates of ", start)
            keys.append(content_key(told, self.listing.place, self.listing.stamp(block)))
        return keys

    @cached_property
    def findings(self) -> Array:
        """The findings on every file, a record each, for which those are read that weren't before.

        Fields: `digest`, the sha256 of the file; `corrupt`, True where it can't be read and is left out; `rows`, their
        number; `late`, True where these need the range of all files; and the fields of `Look.told`.

        Raises:
            CorruptFileError, DataError: the first file that can't be used.
            WorkerError: a process was ended from outside.
        """
        self._fill({number: self._file(number, "npy") for number in range(len(self.blocks))}, self._read)
        found = np.empty(len(self.listing.names), self._fields)
        for number, start in enumerate(self._starts):
            found[start : start + self.look.at_once] = self._kept(number)
        return found

    @cached_property
    def ends(self) -> Indices:
        """The row after the last one of each block."""
        counts = [int(self.findings["rows"][start : start + self.look.at_once].sum()) for start in self._starts]
        return np.cumsum(counts, dtype=np.int64)

    def rows(self, number: int, levels: Range) -> Array:
        """Rows of a block, in a range, as a memory map.

        Raises:
            CorruptFileError, DataError, WorkerError: as `findings`, where files need the range of all.
        """
        start = self._starts[number]
        late = bool(self.findings["late"][start : start + self.look.at_once].any())
        file = self._file(number, "rows", levels if late else None)
        if late and not file.exists():
            self._bring(levels)
        return self._mapped(file, int(self.findings["rows"][start : start + self.look.at_once].sum()))

    def _bring(self, levels: Range) -> None:
        late = np.unique(np.flatnonzero(self.findings["late"]) // self.look.at_once).tolist()
        files = {number: self._file(number, "rows", levels) for number in late}
        self._fill(files, lambda number: self._read_again(number, levels))

    @property
    def _starts(self) -> range:
        return range(0, len(self.listing.names), self.look.at_once)

    def _file(self, number: int, ending: str, levels: Range | None = None) -> Path:
        tail = "" if levels is None else f"-{levels[0]:.17g}-{levels[1]:.17g}"
        return self.bench.folder / f"{self.keys[number]}{tail}.{ending}"

    def _fill(self, files: Mapping[int, Path], work: Callable[[int], None]) -> None:
        lacking = [number for number, file in files.items() if not file.exists()]
        before = len(files) - len(lacking)

        def tell(done: int) -> None:
            self._tell("", (before + done) * self.look.at_once)

        if self.bench.processes > 1 and len(lacking) > 1:
            self._import(self.blocks[lacking[0]][0])
        share(lacking, work, self.bench.processes, tell)

    def _tell(self, what: str, files: int) -> None:
        total = len(self.listing.names)
        going(f"{what}{self.look.noun} of {Path(self.listing.place).name}", min(total, files), total)

    def _import(self, name: str) -> None:
        """Look at a file, so that processes that are forked have the libraries that it needs."""
        with suppress(Exception):  # it is met again where the file is read for good
            self.look.look(self.listing.read(name), name, self.shown(name))

    def _read(self, number: int) -> None:
        """Read a block; its findings are written last, by which it counts as read."""
        names = self.blocks[number]
        found = np.zeros(len(names), self._fields)
        with replaced_file(self._file(number, "rows")) as file:
            for place, name in enumerate(names):
                record = found[place]
                try:
                    content = self.listing.read(name)
                    record["digest"] = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
                    looked = self.look.look(content, name, self.shown(name))
                except CorruptFileError:
                    if not self.look.dropping:
                        raise
                    record["corrupt"] = True
                    continue
                late = isinstance(looked.rows, int)
                count = looked.rows if isinstance(looked.rows, int) else len(looked.rows)
                found[place] = (record["digest"], False, count, late, *looked.told)
                if isinstance(looked.rows, int):
                    file.seek(count * self._bytes, 1)
                else:
                    self._write(file, looked.rows)
            file.truncate()  # what was passed over at its end is zero too
        with replaced_file(self._file(number, "npy")) as file:
            np.save(file, found)

    def _read_again(self, number: int, levels: Range) -> None:
        names, found = self.blocks[number], self._kept(number)
        before = self._mapped(self._file(number, "rows"), int(found["rows"].sum()))
        ends = np.cumsum(found["rows"])
        with replaced_file(self._file(number, "rows", levels)) as file:
            for name, record, end in zip(names, found, ends, strict=True):
                if record["late"]:
                    self._write(file, self.look.bring(self.listing.read(name), name, self.shown(name), levels))
                else:
                    self._write(file, before[end - record["rows"] : end])

    def _write(self, file: BinaryIO, rows: Array) -> None:
        file.write(np.ascontiguousarray(rows, self.look.dtype).data)

    @property
    def _bytes(self) -> int:
        return int(np.prod(self.look.event)) * np.dtype(self.look.dtype).itemsize

    def _mapped(self, file: Path, count: int) -> Array:
        shape = (count, *self.look.event)
        if count == 0:
            return np.zeros(shape, self.look.dtype)
        if file.stat().st_size != count * self._bytes:
            raise DataError(f"{file} is truncated or corrupt: remove it, and prepare again")
        return np.memmap(file, self.look.dtype, "r", shape=shape)

    def _kept(self, number: int) -> Array:
        file = self._file(number, "npy")
        try:
            found: Array = np.load(file, allow_pickle=False)
        except Exception as error:  # damaged bytes raise nearly anything
            raise DataError(f"{file} is truncated or corrupt ({error}): remove it, and prepare again") from error
        return found


@dataclass(frozen=True)
class BlockRows:
    """The rows of all files that were read, in the order of the files."""

    blocks: Blocks
    levels: Range = field(default=(0.0, 0.0))
    """The range of all files, where rows need it."""

    def __len__(self) -> int:
        return int(self.blocks.ends[-1]) if len(self.blocks.ends) else 0

    def __getitem__(self, indices: Indices) -> Array:
        ends = self.blocks.ends
        numbers = np.searchsorted(ends, indices, side="right")
        rows = np.empty((len(indices), *self.blocks.look.event), self.blocks.look.dtype)
        for number in np.unique(numbers).tolist():
            mine = numbers == number
            start = ends[number - 1] if number else 0
            rows[mine] = self.blocks.rows(number, self.levels)[indices[mine] - start]
        return rows
