"""Parity: each graph, run by onnxruntime on real test rows, against the model's own answers."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from vae_pipeline.errors import ParityError

BATCHES = (1, 3, 64)
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Agreement:
    """How far one output of one graph was from the model's answer, at one batch size."""

    graph: str
    batch: int
    output: str
    difference: float
    """Largest |graph - model|, in the output's own units."""
    relative: float
    """Largest |graph - model| / (unit + |model|), where the unit is the width of the data's range, or 1."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def compare(graph: str, file: Path, inputs: Arrays, wanted: Arrays, width: float) -> list[Agreement]:
    """Run the file and compare every output; `x_mean` is in the data's units, whose range is `width` wide.

    Raises:
        ParityError: an output has another shape, or isn't finite.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    given = session.run(list(wanted), inputs)
    batch = len(next(iter(inputs.values())))
    rows = []
    for name, answer in zip(wanted, given, strict=True):
        model = wanted[name]
        if answer.shape != model.shape:
            raise ParityError(f"{graph}: {name} has shape {answer.shape} at batch {batch}; wanted {model.shape}")
        difference = np.abs(answer.astype(np.float64) - model.astype(np.float64))
        unit = width if name == "x_mean" else 1.0
        relative = float((difference / (unit + np.abs(model))).max())
        if not np.isfinite(relative):
            raise ParityError(f"{graph}: the largest difference in {name} at batch {batch} is {relative}")
        rows.append(Agreement(graph, batch, name, float(difference.max()), relative))
    return rows


def require(rows: list[Agreement], tolerance: float) -> None:
    """Refuse what is over the tolerance.

    Raises:
        ParityError: names graph, batch, output and figure of the worst.
    """
    worst = max(rows, key=lambda row: row.relative)
    if worst.relative > tolerance:
        raise ParityError(
            f"the graph {worst.graph} differs from the model by {worst.difference:.3g} in {worst.output} at batch "
            f"{worst.batch} (relative {worst.relative:.3g}), over export.tolerance {tolerance:g}"
        )
