"""Rows and labels of a part, written in the one on-disk form and summed up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vae_pipeline.kinds.division import Numbers, row_hash
from vae_pipeline.kinds.mapped import save_array
from vae_pipeline.kinds.parts import Array, Indices
from vae_pipeline.kinds.shards import RowFiles
from vae_pipeline.system.progress import going


@dataclass(frozen=True)
class Written:
    """A file of rows, summed up."""

    hashes: Numbers
    """A number for each row, equal of equal rows."""
    observed: dict[str, float]
    """Least, largest and mean value; nothing where there are no rows."""


def write_rows(paths: Sequence[Path], count: int, shape: Sequence[int], dtype: str, chunks: Iterable[Array]) -> Written:
    """Fill .npy files of `count` rows in all, which are dealt to them in turn, chunk by chunk."""
    least, most, total, size = np.inf, -np.inf, 0.0, 0
    hashes, done, part = np.empty(count, np.uint64), 0, paths[0].stem.partition("-")[0]
    with RowFiles(paths, count, shape, dtype) as files:
        for chunk in chunks:
            going(f"writing {part}", done, count)
            files.write(chunk)
            least, most = min(least, float(chunk.min())), max(most, float(chunk.max()))
            total += float(chunk.sum(dtype=np.float64))
            size += chunk.size
            hashes[done : done + len(chunk)] = [row_hash(row.tobytes()) for row in chunk]
            done += len(chunk)
    observed = {"min": least, "max": most, "mean": round(total / size, 6)} if size else {}
    return Written(hashes, observed)


def write_labels(path: Path, labels: Indices, classes: Sequence[str]) -> dict[str, int]:
    """Write the labels of a part; returns the number of rows of each class."""
    save_array(path, labels)
    return dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
