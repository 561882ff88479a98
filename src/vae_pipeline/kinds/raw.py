"""Raw observations as a graph takes them: checked against the spec, and of its dtype.

Needs what `runtime` needs: numpy.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import DataSpec
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]


def checked(x: Array, spec: DataSpec, centred: bool = False, first: int = 0) -> Array:
    """Observations [examples, *event]; a table's in their own units, or `centred`: less their columns' offsets.

    Rows are counted from `first` where one is named.

    Raises:
        DataError: they are of another shape or type, or hold values that can't occur.
    """
    x = np.asarray(x)
    if x.shape[1:] != spec.event_shape or x.ndim != len(spec.event_shape) + 1:
        wanted = ["examples", *spec.event_shape]
        raise DataError(f"observations of shape {list(x.shape)} were given; wanted {wanted}".replace("'", ""))
    if len(x) == 0:
        raise DataError("no observations were given: at least one is wanted")
    if x.dtype.kind not in "biuf":
        raise DataError(f"observations of type {x.dtype} were given; numbers are wanted")
    return spec.checked(x, first, centred)
