"""Every graph of a bundle in every runtime that is asked for, beside the golden answers."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from vae_pipeline.bundles.conformance.compare import Row, judge
from vae_pipeline.bundles.conformance.exchange import Task, read_answer, tasks_of, write_tasks
from vae_pipeline.bundles.conformance.installed import missing, modules
from vae_pipeline.bundles.conformance.javascript import answer_in_browser, answer_in_node, fetch
from vae_pipeline.bundles.conformance.processes import answer_by
from vae_pipeline.bundles.conformance.runtimes import Runtime
from vae_pipeline.runtime.agreement import Units
from vae_pipeline.runtime.bundle import Bundle
from vae_pipeline.runtime.sessions import TIMEOUT_S
from vae_pipeline.system.errors import ConformanceError, MissingError

Host = Callable[[Path], str | None]
"""Answers an exchange's folder; what went wrong in one line, or None."""


def conform(folder: Path, asked: Sequence[Runtime], home: Path, timeout_s: float = TIMEOUT_S) -> Iterator[Row]:
    """A row for each graph and runtime; without `asked`, of those that are installed, and the others named.

    Raises:
        BundleError: it isn't a bundle, or a graph takes too long here: in other runtimes nothing would end it.
    """
    bundle = Bundle.load(folder, timeout_s)
    for name, graph in bundle.manifest.graphs.items():
        golden = bundle.golden(name)
        bundle.run(name, {key: golden[key] for key in graph.inputs})
    tasks, units = tasks_of(bundle), Units.of_manifest(bundle.manifest)
    for runtime in asked or Runtime:
        if lacks := missing(runtime) or _unfetched(runtime, home, bool(asked)):
            yield Row(runtime, "", "not installed", lacks)
            continue
        for task, answer in ask(partial(host, runtime, home), folder, tasks):
            yield judge(runtime, task, answer, units)


def require(rows: Sequence[Row], asked: Sequence[Runtime]) -> None:
    """Refuse rows that are worse than was asked for.

    Raises:
        MissingError: a runtime that was asked for isn't installed.
        ConformanceError: a graph failed, or answered otherwise.
    """
    lacking = [row for row in rows if row.outcome == "not installed" and row.runtime in asked]
    if lacking:
        raise MissingError("; ".join(f"{row.runtime} isn't installed: {row.reason}" for row in lacking))
    asked_for = [row for row in rows if row.outcome != "not installed"]
    wrong = [row for row in asked_for if row.outcome in ("differs", "fails")]
    if wrong:
        first = wrong[0]
        raise ConformanceError(
            f"{len(wrong)} of {len(asked_for)} answers aren't the bundle's, first {first.graph} in {first.runtime}, "
            f"which {first.outcome}: {first.reason}"
        )


def ask(host: Host, bundle: Path, tasks: Sequence[Task]) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Give each task's answer. A host that dies takes one graph with it and is started again for the next."""
    waiting = list(tasks)
    with tempfile.TemporaryDirectory(prefix="vae-conform-") as name:
        exchange = Path(name)
        while waiting:
            write_tasks(exchange, bundle, waiting)
            reason = host(exchange)
            while waiting and (answer := read_answer(exchange, waiting[0].graph)):
                yield waiting.pop(0), answer
            if waiting:
                yield waiting.pop(0), {"error": reason or "its program ended without an answer"}


def _unfetched(runtime: Runtime, home: Path, asked: bool) -> str | None:
    """Fetch from npm what was asked for by name; else say how to."""
    if runtime.distribution or modules(home).is_dir():
        return None
    if not asked:
        return f"name it by --runtime {runtime}, which fetches it from npm"
    try:
        fetch(home)
    except MissingError as error:
        return str(error)
    return None


def host(runtime: Runtime, home: Path, exchange: Path) -> str | None:
    """Answer an exchange's folder in a runtime."""
    if runtime.distribution:
        program = [sys.executable, "-P", "-m", "vae_pipeline.bundles.conformance.python_runtimes"]
        return answer_by([*program, runtime, str(exchange)], exchange, {})
    if runtime is Runtime.CHROMIUM:
        return answer_in_browser(exchange, home)
    return answer_in_node(runtime, exchange, home)
