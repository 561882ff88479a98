"""A runtime's answers are compared with the golden ones: a row a graph.

Differences are those of `agreement`, as export and verify have them.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from vae_pipeline.bundles.conformance.exchange import Task, unpack
from vae_pipeline.bundles.conformance.runtimes import Runtime
from vae_pipeline.bundles.export.parity import Agreement, compare
from vae_pipeline.runtime.agreement import Units
from vae_pipeline.system.errors import ParityError

TOLERANCE = 1e-4
NATS = ("negative_elbo", "distortion", "rate")
"""Outputs that are sums over an example: either of the next two will do."""
TOLERANCE_NATS = 1e-3
TOLERANCE_OF_SUMS = 1e-5


@dataclass(frozen=True)
class Row:
    """One graph in one runtime; or a runtime that isn't installed, without a graph."""

    runtime: Runtime
    graph: str
    outcome: Literal["works", "differs", "fails", "not installed"]
    reason: str = ""
    difference: float | None = None
    """Largest relative difference of all outputs and batches."""
    nats: float | None = None
    """Largest absolute difference of those in nats."""
    latency_ms: float | None = None
    """Median at batch 1."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def judge(runtime: Runtime, task: Task, answer: dict[str, Any], units: Units) -> Row:
    """The row of a graph."""
    if "error" in answer:
        return Row(runtime, task.graph, "fails", _one_line(answer["error"]))
    found: list[Agreement] = []
    try:
        for wanted, tensors in zip(task.wanted, answer["outputs"], strict=True):
            found += compare(task.graph, unpack(tensors), wanted, units)
    except ParityError as error:
        return Row(runtime, task.graph, "fails", str(error).removeprefix(f"{task.graph}: "))
    over = [agreement for agreement in found if not within(agreement)]
    worst = max(over, key=lambda agreement: agreement.relative, default=None)
    return Row(
        runtime,
        task.graph,
        "differs" if worst else "works",
        f"{worst.output} by {worst.difference:.2g} at batch {worst.batch} (relative {worst.relative:.2g})"
        if worst
        else "",
        max(agreement.relative for agreement in found),
        max((agreement.difference for agreement in found if agreement.output in NATS), default=None),
        answer["latency_ms"],
    )


def within(agreement: Agreement) -> bool:
    """True if the difference is one of rounding."""
    if agreement.output in NATS:
        return agreement.difference <= TOLERANCE_NATS or agreement.relative <= TOLERANCE_OF_SUMS
    return agreement.relative <= TOLERANCE


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"
