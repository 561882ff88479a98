"""Arrays of an .npz that may come from anywhere: never unpickled, and of a size that is looked at before it is read."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

LARGEST = 2**30  # bytes of an array


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    """Some arrays of an .npz, by their names.

    Raises:
        ValueError: it isn't a whole .npz, lacks one of them, or one is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: _array(archive, f"{name}.npy") for name in names}
    except Exception as error:  # a corrupt archive raises nearly anything
        raise ValueError(str(error) or type(error).__name__) from error


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    size = archive.getinfo(name).file_size
    if size > LARGEST:
        raise ValueError(f"{name} has {size:,} bytes, over {LARGEST:,}")
    return np.asarray(np.load(io.BytesIO(archive.read(name)), allow_pickle=False))
