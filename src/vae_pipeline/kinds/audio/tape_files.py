"""Tapes as files beside prepared data: NAME.npy and NAME_ends.npy."""

from pathlib import Path

import numpy as np

from vae_pipeline.kinds.audio.tape import Tape
from vae_pipeline.kinds.mapped import save_array
from vae_pipeline.system.errors import DataError


def save_tape(tape: Tape, folder: Path, name: str) -> None:
    """Write a tape."""
    save_array(folder / f"{name}.npy", tape.x)
    save_array(folder / f"{name}_ends.npy", tape.ends)


def load_tape(folder: Path, name: str, channels: int) -> Tape | None:
    """Read what `save_tape` wrote; None where it isn't there.

    Raises:
        DataError: the files don't hold a tape of so many channels.
    """
    path = folder / f"{name}.npy"
    if not path.exists():
        return None
    try:
        x, ends = (np.load(each, allow_pickle=False) for each in (path, folder / f"{name}_ends.npy"))
        possible = x.dtype == np.float32 and x.ndim == 2 and ends.dtype == np.int64 and ends.ndim == 1
        whole = possible and len(x) == channels and len(ends) and ends[-1] == x.shape[1] and np.isfinite(x).all()
        if not whole or np.diff(ends, prepend=0).min() < 1:
            raise ValueError("it holds no recordings of this kind")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} isn't what was prepared ({error}): run `vae-pipeline prepare` again") from error
    return Tape(x, ends)
