"""The files of a bundle: found inside its folder, compared with their digests, and read as what they must hold."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.raw import fits
from vae_pipeline.runtime.arrays import read_arrays
from vae_pipeline.runtime.detector_entry import CalibrationEntry
from vae_pipeline.runtime.manifest import DirectionsEntry, GraphEntry
from vae_pipeline.system.errors import BundleError
from vae_pipeline.system.files import sha256_of

HEAVIEST = 2**31  # bytes of a file; protobuf, and so ONNX, ends there
Array = npt.NDArray[Any]


def file_of(folder: Path, name: str) -> Path:
    """A file that a manifest names: every command that reads one finds it by this.

    Raises:
        BundleError: it isn't there, isn't a regular file of a reasonable size, or leads out of the folder.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"{path} leads out of the bundle: put the file itself in the place of the link")
    if not path.exists():
        raise BundleError(f"{path} is missing from the bundle: export again")
    if not path.is_file() or path.stat().st_size > HEAVIEST:  # a pipe or a device would never end
        raise BundleError(f"{path} isn't a regular file of at most {HEAVIEST // 2**30} GiB: export again")
    return path


def whole(folder: Path, name: str, sha256: str) -> Path:
    """A file that a manifest names, compared with its digest.

    Raises:
        BundleError: as `file_of`, or it is another.
    """
    path = file_of(folder, name)
    given = sha256_of(path)
    if given != sha256:
        raise BundleError(f"{path} isn't the file that was exported (its sha256 is {given[:12]}…): export again")
    return path


def read_calibration(folder: Path, entry: CalibrationEntry) -> Array:
    """The scores of the examples that were held back, rising.

    Raises:
        BundleError: the file isn't the one that was exported, or holds something else.
    """
    path = whole(folder, entry.file, entry.sha256)
    try:
        scores = read_arrays(path, ["scores"])["scores"]
        if scores.shape != (entry.examples,) or scores.dtype != np.float32:
            raise ValueError(f"scores are {scores.dtype} of shape {list(scores.shape)}")
        if not np.isfinite(scores).all() or (np.diff(scores) < 0).any():
            raise ValueError("the scores aren't finite, or don't rise")
    except ValueError as error:
        raise BundleError(f"{path} doesn't hold {entry.examples} rising scores ({error}): export again") from error
    return scores


def read_directions(folder: Path, entry: DirectionsEntry, latents: int) -> Array:
    """The directions of the latent space [directions, latents].

    Raises:
        BundleError: the file isn't the one that was exported, or holds something else.
    """
    path = whole(folder, entry.file, entry.sha256)
    try:
        vectors = read_arrays(path, ["directions"])["directions"]
        if vectors.shape != (len(entry.found), latents) or vectors.dtype != np.float32:
            raise ValueError(f"directions are {vectors.dtype} of shape {list(vectors.shape)}")
        if not np.isfinite(vectors).all():
            raise ValueError("the directions aren't finite")
    except ValueError as error:
        raise BundleError(f"{path} doesn't hold {len(entry.found)} directions ({error}): export again") from error
    return vectors


def read_golden(folder: Path, name: str, graph: GraphEntry) -> dict[str, Array]:
    """The golden inputs and answers of a graph, by their names.

    Raises:
        BundleError: the file isn't the one that was exported, or holds something else.
    """
    tensors = {**graph.inputs, **graph.outputs}
    path = whole(folder, graph.golden, graph.golden_sha256)
    try:
        arrays = read_arrays(path, tensors)
        counts = {len(arrays[key]) for key in tensors if arrays[key].ndim}
        for key, tensor in tensors.items():
            whole_rows = arrays[key].ndim and fits(arrays[key].shape[1:], tensor.event)
            if arrays[key].dtype != tensor.dtype or not whole_rows or len(counts) != 1:
                raise ValueError(f"{key} is {arrays[key].dtype} of shape {list(arrays[key].shape)}")
    except ValueError as error:
        raise BundleError(f"{path} doesn't hold the golden answers of {name} ({error}): export again") from error
    return arrays
