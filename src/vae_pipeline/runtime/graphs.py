"""The graphs of a bundle, opened and run by name; what they are asked is checked by `inputs`."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import DataSpec
from vae_pipeline.runtime.files import file_of
from vae_pipeline.runtime.inputs import Labels, checked_inputs, checked_labels
from vae_pipeline.runtime.manifest import GraphEntry, Manifest
from vae_pipeline.runtime.sessions import TIMEOUT_S, open_session, run_session
from vae_pipeline.runtime.signatures import GraphName, sees_features
from vae_pipeline.system.errors import BundleError, DataError

if TYPE_CHECKING:
    import onnxruntime

BATCH, VALUES = 256, 2**19
"""Rows that a graph is asked for at a time, and values in all of them: a photograph's nets take a second of a core."""
Array = npt.NDArray[Any]


class Graphs:
    """The graphs of one folder, each opened when it is first asked. They can be copied and pickled."""

    def __init__(self, folder: Path, manifest: Manifest, timeout_s: float = TIMEOUT_S) -> None:
        self.folder, self.manifest, self.timeout_s = folder, manifest, timeout_s
        self.spec: DataSpec = manifest.spec
        self.latents = manifest.latents
        self.classes = self.spec.classes if manifest.conditional else ()
        """Labels that the model is conditional on; empty if it isn't."""
        self.progress: Callable[[int], object] = _silent
        """A function that is told the rows of a graph's batch once it has been run."""
        self.draws: dict[str, Any] = {}
        """The counts of the last rows made by rules: rows, those drawn for them, and those that broke a check."""
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process: open graphs, and whoever watches the progress."""
        return {**vars(self), "_sessions": {}, "progress": _silent}

    @property
    def features(self) -> bool:
        """True if the model sees features of images, of which no image can be made: then no graph makes any."""
        return sees_features(self.spec, self.manifest.graphs)

    def entry(self, name: str) -> GraphEntry:
        """The manifest's entry on a graph.

        Raises:
            BundleError: there is no such graph.
        """
        if name not in self.manifest.graphs:
            reason = ": for text take Bundle.sentences" if self.spec.kind == "text" else ""
            if self.features:
                reason = ": its model sees features, of which no image can be made; it encodes, scores and detects"
            raise BundleError(f"{self.folder} has no graph {name}, but {', '.join(self.manifest.graphs)}{reason}")
        return self.manifest.graphs[name]

    def session(self, name: str) -> "onnxruntime.InferenceSession":
        """A graph, opened by onnxruntime.

        Raises:
            BundleError: there is no such graph, or its file isn't what bundle.json says.
        """
        graph = self.entry(name)
        if name not in self._sessions:
            self._sessions[name] = open_session(file_of(self.folder, graph.file), graph, self.timeout_s)
        return self._sessions[name]

    def run(self, name: str, inputs: dict[str, Array]) -> list[Array]:
        """A graph's outputs in their order, of inputs that are what it takes: `answer` without a check."""
        session, outputs = self.session(name), list(self.manifest.graphs[name].outputs)
        try:
            return run_session(session, outputs, inputs, self.timeout_s)
        except BundleError as error:
            raise BundleError(f"{self.folder}: the graph {name}: {error}") from error

    def rows(self, name: str, inputs: dict[str, Array], labels: Labels, at_a_time: int = BATCH) -> list[Array]:
        """A graph's outputs of any number of rows, up to `at_a_time`; the labels are checked, and no other input.

        Raises:
            DataError: labels are missing, or given where the model isn't conditional.
        """
        count = len(next(iter(inputs.values())))
        numbers = None if name == GraphName.BASE else self.numbers_of(labels, count)
        if numbers is not None:
            inputs = {**inputs, "label": numbers}
        events = [self.spec.event_shape, *(value.shape[1:] for value in inputs.values())]
        size = max(1, min(at_a_time, VALUES // max(map(math.prod, events))))
        chunks = []
        for start in range(0, count, size):
            chunks.append(self.run(name, {key: value[start : start + size] for key, value in inputs.items()}))
            self.progress(len(chunks[-1][0]))
        return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]

    def numbers_of(self, labels: Labels, count: int) -> Array | None:
        """The number of the class of each of `count` examples; None of a model that isn't conditional.

        Raises:
            DataError: labels are missing, or given where the model isn't conditional, or are no classes of it.
        """
        if self.classes:
            return checked_labels(labels, count, self.classes)
        if labels is not None:
            raise DataError("labels were given, but this model isn't conditional on any: leave them out")
        return None

    def answer(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs of a graph for all its inputs, by the names of bundle.json; for servers, which speak of graphs.

        Raises:
            DataError: an input is missing, unknown, of another shape or holds what the model doesn't take.
        """
        entry = self.manifest.graphs[name]
        rows = checked_inputs(entry, inputs, self.spec)
        if name in (GraphName.MAP_ENCODER, GraphName.MAP_DENOISE) and self.manifest.latent_map is not None:
            self.manifest.latent_map.require_divided(rows["x"])
        return dict(zip(entry.outputs, self.rows(name, rows, inputs.get("label")), strict=True))


def _silent(_: int) -> None:
    """Watch no progress."""
