"""Arrays of MATLAB's .mat files, versions 5 to 7."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.io import loadmat, whosmat

from vae_pipeline.system.errors import DataError

LATER = b"MATLAB 7.3 MAT-file"


def read_mat(content: bytes, key: str | None, path: Path) -> npt.NDArray[Any]:
    """One array of a file, its axes as MATLAB has them: the examples are usually the last.

    Raises:
        DataError: the file is corrupt, or of version 7.3; or it holds no array of numbers of that name.
    """
    if content.startswith(LATER):
        raise DataError(f"{path} is a .mat of version 7.3, which is another format: save it with -v7")
    try:
        names = [name for name, _, _ in whosmat(io.BytesIO(content))]
        key = names[0] if key is None and len(names) == 1 else key
        found = loadmat(io.BytesIO(content), variable_names=[key]).get(key) if key in names else None
    except Exception as error:  # a corrupt file raises whatever the reader does
        raise DataError(f"{path} is a truncated or corrupt .mat ({error}): make or fetch it again") from error
    if found is None:
        wanted = "a key is wanted" if key is None else f"there is no {key!r}"
        raise DataError(f"{path} holds the arrays {', '.join(names)}: {wanted}")
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "biuf":
        raise DataError(f"{path} holds no array of numbers at {key!r}: save it as one")
    return found
