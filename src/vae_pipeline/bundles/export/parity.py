"""Parity: each graph, run by onnxruntime on real test rows, against the model's own answers."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from vae_pipeline.runtime.agreement import Units, differences
from vae_pipeline.system.errors import ParityError

BATCHES = (1, 3, 64)
GOLDEN, LARGEST = BATCHES[1], BATCHES[-1]
"""The batch whose answers are kept beside the graph, and the one whose scores are ranked."""
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Agreement:
    """The difference of one output of one graph from the model's answer, at one batch size."""

    graph: str
    batch: int
    output: str
    difference: float
    """Largest |graph - model|, in the output's own units."""
    relative: float
    """The same, relative: `agreement.differences`."""
    event: tuple[int, ...] = ()
    """The shape of a row, which graphs of maps have in several sizes."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Ranking:
    """The effect of a graph's differences on the order of its scores."""

    examples: int
    nats: float
    """Largest difference in -ELBO."""
    rank_correlation: float
    """Spearman's."""
    flips: int
    """Pairs of examples that the graph puts in the other order."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def compare(graph: str, given: Arrays, wanted: Arrays, units: Units) -> list[Agreement]:
    """Compare every output.

    Raises:
        ParityError: an output has another shape, or isn't finite.
    """
    rows = []
    for name, model in wanted.items():
        answer, batch = given[name], len(model)
        if answer.shape != model.shape:
            raise ParityError(f"{graph}: {name} has shape {answer.shape} at batch {batch}; wanted {model.shape}")
        difference, relative = differences(answer, model, units.of(name))
        if not np.isfinite(relative):
            raise ParityError(f"{graph}: the largest difference in {name} at batch {batch} is {relative}")
        rows.append(Agreement(graph, batch, name, difference, relative, model.shape[1:]))
    return rows


def run(file: Path, inputs: Arrays, outputs: Iterable[str]) -> Arrays:
    """The answers of onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    names = list(outputs)
    return dict(zip(names, session.run(names, inputs), strict=True))


def ranking(given: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> Ranking:
    """Scores of a graph beside the model's."""
    from scipy.stats import spearmanr  # noqa: PLC0415 (a second of a CPU, for detectors alone)

    above = [np.sign(scores[:, None] - scores[None]) for scores in (given, wanted)]
    flips = int((above[0] * above[1] < 0).sum()) // 2
    nats = float(np.abs(given.astype(np.float64) - wanted).max())
    return Ranking(len(wanted), nats, float(spearmanr(given, wanted).statistic), flips)


def require(rows: list[Agreement], tolerance: float) -> None:
    """Refuse what is over the tolerance.

    Raises:
        ParityError: names graph, batch, output and figure of the worst.
    """
    worst = max(rows, key=lambda row: row.relative)
    if worst.relative > tolerance:
        raise ParityError(
            f"the graph {worst.graph} differs from the model by {worst.difference:.3g} in {worst.output} at batch "
            f"{worst.batch} (relative {worst.relative:.3g}), over export.tolerance {tolerance:g}: if that is near "
            f"enough for what the bundle is for, set export.tolerance over {worst.relative:.3g} and export again"
        )


def said(worst: float, order: Ranking, shown: str = "real test examples") -> str:
    """A section of the model card; `shown` are the examples that the graphs were run on."""
    return f"""
## Parity

Every graph was run by onnxruntime on {shown}, at batches of {", ".join(map(str, BATCHES))}, beside the \
model: the largest difference is {worst:.1e}, relative to 1 + |answer| (values of the data on [0, 1]; a log-density \
relative to the number of its terms + |answer|). Scores of {order.examples} examples differ by at most \
{order.nats:.1e} nats; of their pairs {order.flips} change order (rank correlation {order.rank_correlation:.6g}). \
Each figure: `parity.json`.
"""
