"""Raw observations as a graph takes them: checked against the spec, and of its dtype.

Needs what `runtime` needs: numpy.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import DataSpec
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]


def checked(
    x: Array, spec: DataSpec, centred: bool = False, first: int = 0, event: Sequence[int | str] | None = None
) -> Array:
    """Observations [examples, *event]; a table's in their own units, or `centred`: less their columns' offsets.

    Rows are counted from `first` where one is named. An `event` in the place of the spec's may have sides of any
    length, which it gives a name.

    Raises:
        DataError: they are of another shape or type, or hold values that can't occur.
    """
    x = np.asarray(x)
    event = spec.event_shape if event is None else event
    if not x.ndim or not fits(x.shape[1:], event):
        wanted = ["examples", *event]
        raise DataError(f"observations of shape {list(x.shape)} were given; wanted {wanted}".replace("'", ""))
    if len(x) == 0:
        raise DataError("no observations were given: at least one is wanted")
    if x.dtype.kind not in "biuf":
        raise DataError(f"observations of type {x.dtype} were given; numbers are wanted")
    return spec.checked(x, first, centred)


def fits(shape: Sequence[int], event: Sequence[int | str]) -> bool:
    """True if each side is the one of `event`; one that bears a name there may be of any length."""
    return len(shape) == len(event) and all(
        isinstance(wanted, str) or side == wanted for side, wanted in zip(shape, event, strict=True)
    )
