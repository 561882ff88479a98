"""An exported bundle, used: encode, decode, reconstruct, score, sample, interpolate. Of text: `Bundle.sentences`.

Needs numpy and onnxruntime, and nothing else: no torch, no pydantic.

    from vae_pipeline.runtime.bundle import Bundle
    bundle = Bundle.load("exports/digits")
    bundle.sample(16, seed=0)            # [16, channels, height, width], in the data's units
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.raw import natural
from vae_pipeline.kinds.spec import DataSpec, TextSpec
from vae_pipeline.kinds.text.spec import CELLS
from vae_pipeline.runtime.files import file_of, read_calibration, read_golden, whole
from vae_pipeline.runtime.inputs import (
    SEEDS,
    Labels,
    checked_inputs,
    checked_labels,
    checked_numbers,
    checked_observations,
)
from vae_pipeline.runtime.manifest import CalibrationEntry, DetectorEntry, Manifest
from vae_pipeline.runtime.paths import evenly, path_between
from vae_pipeline.runtime.sessions import TIMEOUT_S, open_session, run_session
from vae_pipeline.system.errors import BundleError, DataError

if TYPE_CHECKING:
    import onnxruntime

    from vae_pipeline.runtime.sentences import Sentences

__all__ = ["Bundle", "Detection", "Encoding", "Scores", "alarms", "path_between"]

BATCH = 256
Array = npt.NDArray[Any]
Rows = Any
"""An array [examples, *event]; of a table also a DataFrame, or records (mappings from column to value)."""


@dataclass(frozen=True)
class Encoding:
    """q(z|x) of each example: arrays of [examples, latents]."""

    mean: Array
    log_variance: Array


@dataclass(frozen=True)
class Scores:
    """Nats an example; a high `negative_elbo` says that the model finds the example unlikely."""

    negative_elbo: Array
    distortion: Array
    rate: Array


@dataclass(frozen=True)
class Detection:
    """How anomalous each example is, by a score that is calibrated."""

    score: Array
    """A score of the kind that the recipe names, high where the model finds the example unlikely."""
    p_value: Array
    """Share of normal examples that are at least as anomalous: an alarm at p <= alpha is false at a rate of alpha."""
    distortion: Array
    rate: Array
    """Nats."""
    contributions: Array
    """[examples, *event]: nats of distortion of each value over what is usual of it; of an image its heat map."""


def alarms(p_value: Array, alpha: float) -> Array:
    """Alarms: the examples over the threshold of a false-alarm rate, as exact as a graph's float32 is."""
    return np.asarray(p_value, np.float32) <= np.float32(alpha)


class Bundle:
    """The graphs of one folder, each opened when it is first asked. It can be copied and pickled."""

    def __init__(self, folder: Path, manifest: Manifest, timeout_s: float = TIMEOUT_S) -> None:
        self.folder, self.manifest, self.timeout_s = folder, manifest, timeout_s
        self.spec: DataSpec = manifest.spec
        self.latents = manifest.latents
        self.classes = self.spec.classes if manifest.conditional else ()
        """Labels that the model is conditional on; empty if it isn't."""
        self.progress: Callable[[int], object] = _silent
        """Told of the rows of a graph's batch once it has been run."""
        self.variant: str | None = None if manifest.variant is None else manifest.variant.kind
        """`fp16` or `int8` if `vae-pipeline shrink` wrote it."""
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process: open graphs, and whoever watches the progress."""
        return {**vars(self), "_sessions": {}, "progress": _silent}

    @classmethod
    def load(cls, folder: Path | str, timeout_s: float = TIMEOUT_S) -> "Bundle":
        """Open a folder that `vae-pipeline export` filled, and check that its manifest and its files are whole.

        A graph may take `timeout_s` seconds to be opened, and as long for a batch of up to 256 rows.

        Raises:
            BundleError: the folder isn't a bundle, is of another format, or a file was altered.
        """
        folder = Path(folder)
        bundle = cls(folder, Manifest.load(folder), timeout_s)
        for graph in bundle.manifest.graphs.values():
            whole(folder, graph.file, graph.sha256)
        if bundle.detects:
            bundle.calibration()
        return bundle

    @property
    def sentences(self) -> "Sentences":
        """The tasks on text.

        Raises:
            DataError: the model isn't one of sentences.
        """
        if not isinstance(self.spec, TextSpec):
            raise DataError(f"{self.folder} is a model of a kind {self.spec.kind}: it has no sentences")
        from vae_pipeline.runtime.sentences import Sentences  # noqa: PLC0415 (tokenizers costs only those who have text)

        return Sentences(self, self.spec)

    def encode(self, x: Rows, labels: Labels = None) -> Encoding:
        """q(z|x) of raw observations [examples, *event]; of a table, a DataFrame or records do as well."""
        mean, log_variance = self._run("encoder", {"x": checked_observations(x, self.spec)}, labels)
        return Encoding(mean, log_variance)

    def decode(self, z: Array, labels: Labels = None) -> Array:
        """E[x|z] of latents [examples, latents], in the data's units."""
        return natural(self._run("decoder", {"z": checked_numbers("z", z, [self.latents])}, labels)[0], self.spec)

    def reconstruct(self, x: Rows, labels: Labels = None) -> Array:
        """E[x|z] at the posterior's mean, in the data's units."""
        return natural(self._run("reconstruct", {"x": checked_observations(x, self.spec)}, labels)[0], self.spec)

    def score(self, x: Rows, labels: Labels = None, samples: int = 16, seed: int = 0) -> Scores:
        """-ELBO, distortion and rate, averaged over `samples` draws of z.

        Every example gets the same draws, so that its score doesn't depend on its neighbours.
        """
        if samples < 1:
            raise DataError(f"a score needs at least 1 sample; given {samples}")
        x = checked_observations(x, self.spec)
        noise = np.random.default_rng(seed).standard_normal((samples, self.latents)).astype(np.float32)
        totals = [np.zeros(len(x)) for _ in range(3)]
        for draw in noise:
            answers = self._run("score", {"x": x, "noise": np.tile(draw, (len(x), 1))}, labels, self._scored)
            totals = [total + answer for total, answer in zip(totals, answers, strict=True)]
        return Scores(*(total / samples for total in totals))

    @property
    def _scored(self) -> int:
        """Examples at a time."""
        spec = self.spec
        return min(BATCH, max(1, CELLS // (spec.limit * spec.vocabulary))) if isinstance(spec, TextSpec) else BATCH

    @property
    def detects(self) -> bool:
        """Whether there is a detector: a variant has none, nor has a model of data without a validation part."""
        return self.manifest.detection is not None

    @property
    def least_alpha(self) -> float:
        """The lowest false-alarm rate that the calibration can tell.

        Raises:
            DataError: the bundle has no detector.
        """
        return 1 / (self.detector.calibration.examples + 1)

    def detect(self, x: Rows, labels: Labels = None) -> Detection:
        """Score each example, with a p-value among the examples that were held back; deterministic.

        Raises:
            DataError: the bundle has no detector.
        """
        draws = self.detector.draws
        return Detection(
            *self._run("detect", {"x": checked_observations(x, self.spec)}, labels, max(1, BATCH // draws))
        )

    def alarms(self, found: Detection, alpha: float) -> Array:
        """Alarms: the examples over the threshold of the false-alarm rate `alpha`.

        Raises:
            DataError: the calibration is too small to tell.
        """
        if not self.least_alpha <= alpha < 1:
            raise DataError(
                f"alpha {alpha:g} was given; this calibration, of {self.detector.calibration.examples} "
                f"examples, tells false-alarm rates from {self.least_alpha:.2g} to 1"
            )
        return alarms(found.p_value, alpha)

    def calibration(self) -> tuple[Array, CalibrationEntry]:
        """The scores of the examples that were held back, rising, and what is to be known of them.

        Raises:
            DataError: the bundle has no detector.
            BundleError: the file isn't the one that was exported, or holds something else.
        """
        told = self.detector.calibration
        return read_calibration(self.folder, told), told

    @property
    def detector(self) -> DetectorEntry:
        """The manifest's entry on the detector.

        Raises:
            DataError: the bundle has none.
        """
        if self.manifest.detection is None:
            reason = (
                f"is a variant, {self.variant}, whose scores aren't calibrated: take the full bundle"
                if self.variant
                else "was exported from data without a validation part, or with detection: null in its recipe"
            )
            raise DataError(f"{self.folder} has no detector: it {reason}")
        return self.manifest.detection

    def golden(self, name: str) -> dict[str, Array]:
        """The golden inputs and answers of a graph, by their names.

        Raises:
            BundleError: the file isn't the one that was exported, or holds something else.
        """
        return read_golden(self.folder, name, self.manifest.graphs[name])

    def sample(self, count: int, seed: int = 0, labels: Labels = None) -> Array:
        """`count` draws of the fitted sampler, or of the prior, decoded; [count, *event] in the data's units."""
        if count < 1:
            raise DataError(f"at least 1 sample is wanted; given {count}")
        self.session("decoder")
        noise = np.random.default_rng(seed).standard_normal((count, self.manifest.noise)).astype(np.float32)
        return natural(self._run("sample", {"noise": noise}, labels)[0], self.spec)

    def generate(self, count: int, seed: int = 0, first: int = 0, labels: Labels = None) -> Array:
        """Draws `first` to `first + count - 1` of a seed; the graph itself makes their noise, alike in any runtime."""
        if count < 1 or not 0 <= first <= SEEDS - count or not 0 <= seed < SEEDS:
            raise DataError(
                f"seed {seed} and draws {first} to {first + count - 1} were given; wanted whole numbers from 0 to "
                f"{SEEDS - 1}, and at least 1 draw"
            )
        index = np.arange(first, first + count, dtype=np.float32)
        inputs = {"seed": np.full(count, seed, np.float32), "index": index}
        return natural(self._run("generate", inputs, labels)[0], self.spec)

    def interpolate(
        self, start: Array, end: Array, steps: int, kind: Literal["linear", "spherical"] = "spherical",
        label: int | None = None, even: bool = False,
    ) -> Array:  # fmt: skip
        """Observations [steps, *event] along a path between the posterior means of two observations.

        `even` places the steps so that each changes the observation by the same amount (the Euclidean distance).
        """
        if steps < 2:
            raise DataError(f"a path needs at least 2 steps; given {steps}")
        labels = None if label is None else [label, label]
        ends = self.encode(np.stack([start, end]), labels).mean

        def seen(place: Array) -> Array:
            return self.decode(
                path_between(ends[0], ends[1], place, kind), None if label is None else [label] * len(place)
            )

        place = np.linspace(0, 1, steps)
        return seen(evenly(seen, place) if even else place)

    def answer(self, graph: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs of a graph for all its inputs, by the names of bundle.json; for servers, which speak of graphs.

        Raises:
            DataError: an input is missing, unknown, of another shape or holds what the model doesn't take.
        """
        entry = self.manifest.graphs[graph]
        rows = checked_inputs(entry, inputs, self.spec)
        return dict(zip(entry.outputs, self._run(graph, rows, inputs.get("label")), strict=True))

    def run(self, graph: str, inputs: dict[str, Array]) -> list[Array]:
        """A graph's outputs in their order, of inputs that are what it takes: `answer` without a check."""
        session, outputs = self.session(graph), list(self.manifest.graphs[graph].outputs)
        try:
            return run_session(session, outputs, inputs, self.timeout_s)
        except BundleError as error:
            raise BundleError(f"{self.folder}: the graph {graph}: {error}") from error

    def _run(self, name: str, inputs: dict[str, Array], labels: Labels, rows: int = BATCH) -> list[Array]:
        count = len(next(iter(inputs.values())))
        if self.classes:
            inputs = {**inputs, "label": checked_labels(labels, count, self.classes)}
        elif labels is not None:
            raise DataError("labels were given, but this model isn't conditional on any: leave them out")
        chunks = []
        for start in range(0, count, rows):
            chunks.append(self.run(name, {key: value[start : start + rows] for key, value in inputs.items()}))
            self.progress(len(chunks[-1][0]))
        return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]

    def session(self, name: str) -> "onnxruntime.InferenceSession":
        """A graph, opened by onnxruntime.

        Raises:
            BundleError: there is no such graph, or its file isn't what bundle.json says.
        """
        if name not in self.manifest.graphs:
            raise BundleError(
                f"{self.folder} has no graph {name}, but {', '.join(self.manifest.graphs)}"
                f"{': for text take Bundle.sentences' if self.spec.kind == 'text' else ''}"
            )
        if name not in self._sessions:
            graph = self.manifest.graphs[name]
            self._sessions[name] = open_session(file_of(self.folder, graph.file), graph, self.timeout_s)
        return self._sessions[name]


def _silent(_: int) -> None:
    """Watch no progress."""
