"""Pictures, each read once: in blocks whose pixels and findings are kept in files until a data set is whole."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import PIL

from vae_pipeline.kinds.image import decoding
from vae_pipeline.kinds.image.decoding import Levels, read_picture, read_picture_or_levels, read_whole, wide_levels
from vae_pipeline.kinds.listed import Listing
from vae_pipeline.kinds.parts import Array
from vae_pipeline.recipe.data import FolderData
from vae_pipeline.system.errors import CorruptFileError, DataError
from vae_pipeline.system.files import content_key, replaced_file, sha256_of
from vae_pipeline.system.progress import going
from vae_pipeline.system.workbench import Workbench
from vae_pipeline.system.workers import share

ROWS, BYTES = 1024, 2**25  # of a block, at most: what is lost when a process is killed


@dataclass(frozen=True)
class PictureFindings:
    """Findings on pictures, in their order."""

    digests: Array
    """[pictures, 32], uint8: the sha256 of each file."""
    corrupt: Array
    """[pictures], bool: True where a file can't be read."""
    levels: Array
    """[pictures, 2]: what `wide_levels` gives; NaN where that is None."""


class PictureBlocks:
    """The pictures of a listing in blocks, which the processes of a workbench read."""

    def __init__(self, listing: Listing, data: FolderData, bench: Workbench) -> None:
        self.listing, self.data, self.bench = listing, data, bench
        self.size = max(1, min(ROWS, BYTES // math.prod(data.shape)))
        self.whole = data.resize == "tiles"
        """True if pictures are cut into tiles later, and no pixels are kept."""
        names = listing.names
        self.blocks = [names[start : start + self.size] for start in range(0, len(names), self.size)]
        self._last: tuple[Path, Array] | None = None

    @cached_property
    def keys(self) -> list[str]:
        """The name of each block's file, another one once the recipe, a picture or the code changes."""
        told = self.data.model_dump(mode="json", include={"shape", "resize", "crop", "corrupt"})
        code = [PIL.__version__, *(sha256_of(Path(file)) for file in (__file__, decoding.__file__))]
        return [content_key(code, told, self.listing.place, self.listing.stamp(block)) for block in self.blocks]

    @cached_property
    def findings(self) -> PictureFindings:
        """The findings on all pictures, for which those are read that weren't before.

        Raises:
            CorruptFileError, DataError: the first picture that can't be used.
            WorkerError: a process was ended from outside.
        """
        self._fill({number: self._file(number) for number in range(len(self.blocks))}, self._read)
        found = [_kept(self._file(number), "digests", "corrupt", "levels") for number in range(len(self.blocks))]
        return PictureFindings(*map(np.concatenate, zip(*found, strict=True)))

    def bring(self, levels: Levels) -> None:
        """Decode what needs the levels of all pictures: greys of over 8 bits.

        Raises:
            CorruptFileError, DataError, WorkerError: as `findings`.
        """
        wide = np.flatnonzero(np.isfinite(self.findings.levels[:, 0])) // self.size
        if len(wide) and not self.whole:
            files = {number: self._file(number, levels) for number in np.unique(wide).tolist()}
            self._fill(files, lambda number: self._decode_wide(number, levels))

    def pixels(self, number: int, levels: Levels) -> Array:
        """Pixels [pictures, channels, height, width] of a block, once they were brought to the levels."""
        file = self._file(number, levels)
        file = file if file.exists() else self._file(number)
        if self._last is None or self._last[0] != file:
            (pixels,) = _kept(file, "pixels")
            self._last = file, pixels
        return self._last[1]

    def _file(self, number: int, levels: Levels | None = None) -> Path:
        tail = "" if levels is None else f"-{levels[0]:.17g}-{levels[1]:.17g}"
        return self.bench.folder / f"{self.keys[number]}{tail}.npz"

    def _fill(self, files: Mapping[int, Path], work: Callable[[int], None]) -> None:
        lacking = [number for number, file in files.items() if not file.exists()]
        before, total = len(files) - len(lacking), len(self.listing.names)

        def tell(done: int) -> None:
            going(f"pictures of {self.listing.place}", min(total, (before + done) * self.size), total)

        share(lacking, work, self.bench.processes, tell)

    def _read(self, number: int) -> None:
        names = self.blocks[number]
        digests, corrupt = np.zeros((len(names), 32), np.uint8), np.zeros(len(names), bool)
        levels = np.full((len(names), 2), np.nan)
        pixels = np.zeros((0 if self.whole else len(names), *self.data.shape), np.uint8)
        for place, name in enumerate(names):
            try:
                content = self.listing.read(name)
                digests[place] = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
                found = self._look(content, f"{self.listing.place}/{name}")
            except CorruptFileError:
                if self.data.corrupt == "fail":
                    raise
                corrupt[place] = True
            else:
                if isinstance(found, np.ndarray):
                    pixels[place] = found
                elif found is not None:
                    levels[place] = found
        _keep(self._file(number), digests=digests, corrupt=corrupt, levels=levels, pixels=pixels)

    def _look(self, content: bytes, shown: str) -> Array | Levels | None:
        """The pixels of a picture, or its levels where pixels need those of all; None where it is cut later."""
        if not self.whole:
            return read_picture_or_levels(content, shown, self.data.shape, self.data.fit, self.data.crop)
        if self.data.corrupt == "drop":
            read_whole(content, shown, self.data.shape[0])
        return wide_levels(content, shown)

    def _decode_wide(self, number: int, levels: Levels) -> None:
        (pixels, found), names = _kept(self._file(number), "pixels", "levels"), self.blocks[number]
        for place in np.flatnonzero(np.isfinite(found[:, 0])).tolist():
            content, shown = self.listing.read(names[place]), f"{self.listing.place}/{names[place]}"
            pixels[place] = read_picture(content, shown, self.data.shape, self.data.fit, levels, self.data.crop)
        _keep(self._file(number, levels), pixels=pixels)


def _keep(path: Path, **arrays: Array) -> None:
    with replaced_file(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy's own argument might be among them


def _kept(path: Path, *names: str) -> list[Array]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except Exception as error:  # damaged bytes raise nearly anything
        raise DataError(f"{path} is truncated or corrupt ({error}): remove it, and prepare again") from error
