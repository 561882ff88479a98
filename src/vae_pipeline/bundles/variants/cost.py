"""A variant's cost beside the bundle that it came from, and its saving."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnxruntime
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.stats import sem, spearmanr

from vae_pipeline.bundles.export.parity import Arrays
from vae_pipeline.runtime.bundle import Array, Bundle
from vae_pipeline.runtime.files import file_of
from vae_pipeline.runtime.signatures import OPTIONAL, GraphName

TIMED = (GraphName.ENCODER, GraphName.DECODER, GraphName.SCORE)
BATCHES = (1, 64)
CALLS, SECONDS = 300, 1.0
"""A median's: as many calls of each as fit."""


@dataclass(frozen=True)
class Latency:
    """Median times of a graph on one thread, the two sessions asked in turn.

    Of the CPU, which is what a call takes on an idle machine: on a busy one a long call waits for others.
    """

    graph: str
    batch: int
    full_ms: float
    variant_ms: float


@dataclass(frozen=True)
class Cost:
    """Loss, size and time. Its times vary from run to run, and so does variant.json, which holds it."""

    kind: str
    examples: int
    """Examples of the test part that were scored."""
    full: float
    """-ELBO of the bundle, nats an example; the noise is the same for both."""
    variant: float
    """-ELBO of the variant."""
    loss: float
    """variant - full: above zero the variant is worse."""
    loss_standard_error: float
    """The standard error of the pairs' differences."""
    largest: float
    """Largest difference of one example's score, in nats."""
    rank_correlation: float
    """Spearman's, of the scores."""
    reconstruction: float
    """Largest difference of a reconstruction's `x_mean`, in the data's units."""
    full_bytes: int
    """The bytes of all graphs that a variant has."""
    variant_bytes: int
    latencies: tuple[Latency, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def measure(full: Bundle, variant: Bundle, x: Array, labels: Array | None) -> Cost:
    """Ask both bundles the same, of prepared rows."""
    x = full.spec.natural(x)
    wanted, given = (bundle.score(x, labels).negative_elbo for bundle in (full, variant))
    pictures = [bundle.reconstruct(x, labels).astype(np.float64) for bundle in (full, variant)]
    return Cost(
        kind=str(variant.variant),
        examples=len(x),
        full=float(wanted.mean()),
        variant=float(given.mean()),
        loss=float((given - wanted).mean()),
        loss_standard_error=float(sem(given - wanted)),
        largest=float(np.abs(given - wanted).max()),
        rank_correlation=float(spearmanr(given, wanted).statistic),
        reconstruction=float(np.abs(pictures[1] - pictures[0]).max()),
        full_bytes=_bytes(full),
        variant_bytes=_bytes(variant),
        latencies=tuple(_latency(full, variant, graph, batch) for graph in TIMED for batch in BATCHES),
    )


def print_table(console: Console, cost: Cost) -> None:
    """Loss and size, and a line for each time."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("", "float32", cost.kind, "ratio"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    table.add_row("-ELBO, nats", f"{cost.full:.3f}", f"{cost.variant:.3f}", "")
    sizes = (cost.full_bytes, cost.variant_bytes)
    table.add_row("graphs, kB", *(f"{size / 1000:,.0f}" for size in sizes), f"{sizes[1] / sizes[0]:.2f}")
    for row in cost.latencies:
        times = (row.full_ms, row.variant_ms)
        table.add_row(
            f"{row.graph}, batch {row.batch}, ms", *(f"{time:.3f}" for time in times), f"{times[1] / times[0]:.2f}"
        )
    console.print(table)
    console.print(_summary(cost))


def said(cost: Cost) -> str:
    """A section of the model card; without times, which `variant.json` has."""
    return f"""
## Variant: {cost.kind}

What stands above is of the full bundle. These graphs are a smaller variant: {cost.variant_bytes:,} bytes \
in place of {cost.full_bytes:,}. On {cost.examples:,} test examples, with the same noise for both, {_summary(cost)} \
Golden answers are the variant's; `parity.json` here is how far they are from the full bundle's. Measured times: \
`variant.json`.
"""


def _summary(cost: Cost) -> str:
    return (
        f"-ELBO is {cost.loss:+.2g} ± {cost.loss_standard_error:.1g} nats off; one score by at most "
        f"{cost.largest:.2g} nats (rank correlation {cost.rank_correlation:.6f}), a reconstructed value by at most "
        f"{cost.reconstruction:.2g} in the data's units."
    )


def _bytes(bundle: Bundle) -> int:
    graphs = bundle.manifest.graphs.items()
    return sum(file_of(bundle.folder, entry.file).stat().st_size for name, entry in graphs if name not in OPTIONAL)


def _latency(full: Bundle, variant: Bundle, graph: str, batch: int) -> Latency:
    golden = full.golden(graph)
    names = full.manifest.graphs[graph].inputs
    inputs = {name: np.resize(golden[name], (batch, *golden[name].shape[1:])) for name in names}
    calls = [_call(bundle, graph, inputs) for bundle in (full, variant)]
    took: list[tuple[float, ...]] = []
    began = time.perf_counter()
    while len(took) < CALLS and (len(took) < 5 or time.perf_counter() - began < SECONDS):
        took.append(tuple(_seconds(call) for call in calls))
    medians = [1e3 * statistics.median(times) for times in zip(*took[1:], strict=True)]  # the first warms up
    return Latency(graph, batch, *medians)


def _call(bundle: Bundle, graph: str, inputs: Arrays) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1  # and so no thread that spins
    file = file_of(bundle.folder, bundle.manifest.graphs[graph].file)
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


def _seconds(call: Callable[[], object]) -> float:
    before = time.thread_time()
    call()
    return time.thread_time() - before
