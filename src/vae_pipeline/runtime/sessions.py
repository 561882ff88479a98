"""Graphs opened and run by onnxruntime, within limits of time and memory: a file may hold a loop without an end.

The time is looked at between two operators, so that a single one may go on beyond it; the memory, which is one
allowance for all graphs of a process, bounds how long one can.
"""

import functools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime

from vae_pipeline.runtime.manifest import GraphEntry, TensorEntry
from vae_pipeline.system.errors import BundleError

MEMORY = 4 * 2**30
"""Bytes that graphs may hold at a time."""
TIMEOUT_S = 15.0
"""Time that a graph may take to open, or for one batch, unless a caller says otherwise."""
OFTEN_S = 0.1
FATAL = 4  # onnxruntime's lowest severity but silence: errors are raised, and needn't be printed too
Array = npt.NDArray[Any]


def open_session(file: Path, graph: GraphEntry, timeout_s: float) -> onnxruntime.InferenceSession:
    """The graph of a file, whose inputs and outputs are those that the manifest describes.

    Raises:
        BundleError: onnxruntime doesn't read it, it takes too long, or it has other inputs or outputs.
    """
    _allow_memory()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        with _watch.over(timeout_s, lambda: options.set_load_cancellation_flag(True)):
            session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no narrower root
        raise BundleError(f"{file} can't be opened by onnxruntime: {error}") from error
    for kind, values, wanted in (
        ("inputs", session.get_inputs(), graph.inputs),
        ("outputs", session.get_outputs(), graph.outputs),
    ):
        found = {value.name: (value.type, list(value.shape)) for value in values}
        if found != {name: (_onnx_type(tensor), list(tensor.shape)) for name, tensor in wanted.items()}:
            raise BundleError(
                f"{file} doesn't fit bundle.json: it has {kind} "
                f"{', '.join(f'{name} {shape}' for name, (_, shape) in found.items())}: export again"
            )
    return session


def run_session(
    session: onnxruntime.InferenceSession, outputs: Sequence[str], inputs: dict[str, Array], timeout_s: float
) -> list[Array]:
    """The answers of a graph.

    Raises:
        BundleError: it failed, or took longer than it may.
    """
    options = onnxruntime.RunOptions()
    options.log_severity_level = FATAL
    try:
        with _watch.over(timeout_s, lambda: setattr(options, "terminate", True)):
            return list(session.run(list(outputs), inputs, options))
    except Exception as error:  # onnxruntime's exceptions share no narrower root
        if options.terminate:
            rows = len(next(iter(inputs.values())))
            raise BundleError(
                f"it took over {timeout_s:g} s for {rows} rows: allow it more by --timeout, if the model is that large"
            ) from error
        raise BundleError(f"it fails ({error}): export again") from error


def _onnx_type(tensor: TensorEntry) -> str:
    return f"tensor({'float' if tensor.dtype == 'float32' else tensor.dtype})"


@functools.cache
def _allow_memory() -> None:
    kinds = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    default = -1  # of what else there is to choose of an arena
    arena = onnxruntime.OrtArenaCfg(MEMORY, default, default, default)
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", *kinds), arena)


class _Watch:
    """Calls those whose time is over: one thread for all, since a thread for each costs more than a small graph."""

    def __init__(self) -> None:
        self._due: dict[object, tuple[float, Any]] = {}
        self._thread = threading.Thread(target=self._look, daemon=True)

    @contextmanager
    def over(self, seconds: float, end: Any) -> Iterator[None]:
        """Call `end` if the block takes longer."""
        if not self._thread.is_alive():  # the first time, and in a process that was forked
            self._thread = threading.Thread(target=self._look, daemon=True)
            self._thread.start()
        block = object()
        self._due[block] = time.monotonic() + seconds, end
        try:
            yield
        finally:
            del self._due[block]

    def _look(self) -> None:
        while True:
            time.sleep(OFTEN_S)
            for until, end in list(self._due.values()):
                if time.monotonic() > until:
                    end()


_watch = _Watch()
