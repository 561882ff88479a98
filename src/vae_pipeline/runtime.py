"""An exported bundle, used: encode, decode, reconstruct, score, sample, interpolate. Of text: `Bundle.sentences`.

Needs numpy and onnxruntime, and nothing else: no torch, no pydantic.

    from vae_pipeline.runtime import Bundle
    bundle = Bundle.load("exports/digits")
    bundle.sample(16, seed=0)            # [16, channels, height, width], in the data's units
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime

from vae_pipeline.errors import BundleError, DataError
from vae_pipeline.paths import evenly, path_between
from vae_pipeline.raw import checked
from vae_pipeline.spec import DataSpec, TextSpec, spec_of

if TYPE_CHECKING:
    from vae_pipeline.sentences import Sentences

__all__ = ["Bundle", "Detection", "Encoding", "Scores", "alarms", "path_between"]

FORMAT = 3
GRAPHS = ("encoder", "decoder", "reconstruct", "score", "sample", "generate")
"""That every bundle of images or of a table has; `detect` is there where the data had a validation part."""
STEPWISE = ("encoder", "score", "initial", "sample", "step", "greedy")
"""That every bundle of sentences has."""
LIMIT = 2**24  # of the seeds and indices that `generate` takes: whole numbers are exact in float32 up to here
BATCH = 256
CELLS = 2**24  # log-probabilities that `score` holds at a time, of sentences
Array = npt.NDArray[Any]
Labels = Sequence[int] | Array | None


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
    """Of the kind that the recipe names, high where the model finds the example unlikely."""
    p_value: Array
    """Share of normal examples that are at least as anomalous: an alarm at p <= alpha is false at a rate of alpha."""
    distortion: Array
    rate: Array
    """Nats."""
    contributions: Array
    """[examples, *event]: nats of distortion of each value over what is usual of it; of an image its heat map."""


def alarms(p_value: Array, alpha: float) -> Array:
    """Which examples are over the threshold of a false-alarm rate; as exact as a graph's float32 is."""
    return np.asarray(p_value, np.float32) <= np.float32(alpha)


class Bundle:
    """The graphs of one folder, each opened when it is first asked."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest
        self.spec: DataSpec = spec_of(manifest["spec"])
        self.latents = int(manifest["latents"])
        self.classes = self.spec.classes if manifest["conditional"] else ()
        """Labels that the model is conditional on; empty if it isn't."""
        self.progress: Callable[[int], object] = lambda _: None
        """Told of the rows of a graph's batch once it has been run."""
        self.variant: str | None = manifest["variant"]["kind"] if "variant" in manifest else None
        """`fp16` or `int8` if `vae-pipeline shrink` wrote it."""
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    @classmethod
    def load(cls, folder: Path | str) -> "Bundle":
        """Open a folder that `vae-pipeline export` filled, and check that its files are whole.

        Raises:
            BundleError: the folder isn't a bundle, is of a newer format, or a file was altered.
        """
        folder = Path(folder)
        path = folder / "bundle.json"
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if manifest["format"] != FORMAT:
                todo = "update vae-pipeline" if manifest["format"] > FORMAT else "export again"
                raise BundleError(
                    f"{folder} has bundle format {manifest['format']}, this version reads {FORMAT}: {todo}"
                )
            for graph in manifest["graphs"].values():
                _check(folder / graph["file"], graph["sha256"])
            bundle = cls(folder, manifest)
            for name in STEPWISE if bundle.spec.kind == "text" else GRAPHS:
                list(manifest["graphs"][name]["outputs"]), manifest["graphs"][name]["inputs"]
            int(manifest["graphs"]["sample"]["inputs"]["noise"]["shape"][1])
            if manifest["detection"] is not None:
                manifest["graphs"]["detect"], int(manifest["detection"]["draws"])
                calibration = manifest["detection"]["calibration"]
                int(calibration["examples"])
                _check(folder / calibration["file"], calibration["sha256"])
            return bundle
        except FileNotFoundError as error:
            raise BundleError(f"{path} isn't there: name a folder that `vae-pipeline export` filled") from error
        except OSError as error:
            raise BundleError(f"{path} can't be read: name a folder that `vae-pipeline export` filled") from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, DataError) as error:
            raise BundleError(f"{path} isn't a bundle's manifest ({error}): export again") from error

    @property
    def sentences(self) -> "Sentences":
        """The tasks on text.

        Raises:
            DataError: the model isn't one of sentences.
        """
        if not isinstance(self.spec, TextSpec):
            raise DataError(f"{self.folder} is a model of a kind {self.spec.kind}: it has no sentences")
        from vae_pipeline.sentences import Sentences  # noqa: PLC0415 (tokenizers costs only those who have text)

        return Sentences(self, self.spec)

    def encode(self, x: Array, labels: Labels = None) -> Encoding:
        """q(z|x) of raw observations [examples, *event]."""
        mean, log_variance = self._run("encoder", {"x": checked(x, self.spec)}, labels)
        return Encoding(mean, log_variance)

    def decode(self, z: Array, labels: Labels = None) -> Array:
        """E[x|z] of latents [examples, latents], in the data's units."""
        return self._run("decoder", {"z": _numbers("z", z, [self.latents])}, labels)[0]

    def reconstruct(self, x: Array, labels: Labels = None) -> Array:
        """E[x|z] at the posterior's mean, in the data's units."""
        return self._run("reconstruct", {"x": checked(x, self.spec)}, labels)[0]

    def score(self, x: Array, labels: Labels = None, samples: int = 16, seed: int = 0) -> Scores:
        """-ELBO, distortion and rate, averaged over `samples` draws of z.

        Every example gets the same draws, so that its score doesn't depend on its neighbours.
        """
        if samples < 1:
            raise DataError(f"a score needs at least 1 sample; given {samples}")
        x = checked(x, self.spec)
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
        return max(1, CELLS // (spec.limit * spec.vocabulary)) if isinstance(spec, TextSpec) else BATCH

    @property
    def detects(self) -> bool:
        """Whether there is a detector: a variant has none, nor has a model of data without a validation part."""
        return self.manifest["detection"] is not None

    @property
    def least_alpha(self) -> float:
        """The lowest false-alarm rate that the calibration can tell.

        Raises:
            DataError: the bundle has no detector.
        """
        return 1 / (int(self._detector()["calibration"]["examples"]) + 1)

    def detect(self, x: Array, labels: Labels = None) -> Detection:
        """Score each example, with a p-value among the examples that were held back; deterministic.

        Raises:
            DataError: the bundle has no detector.
        """
        draws = self._detector()["draws"]
        return Detection(*self._run("detect", {"x": checked(x, self.spec)}, labels, max(1, BATCH // draws)))

    def alarms(self, found: Detection, alpha: float) -> Array:
        """Which examples are over the threshold of the false-alarm rate `alpha`.

        Raises:
            DataError: the calibration is too small to tell.
        """
        if not self.least_alpha <= alpha < 1:
            raise DataError(
                f"alpha {alpha:g} was given; this calibration, of {self._detector()['calibration']['examples']} "
                f"examples, tells false-alarm rates from {self.least_alpha:.2g} to 1"
            )
        return alarms(found.p_value, alpha)

    def calibration(self) -> tuple[Array, dict[str, Any]]:
        """The scores of the examples that were held back, rising, and what bundle.json says of them.

        Raises:
            DataError: the bundle has no detector.
        """
        told = dict(self._detector()["calibration"])
        with np.load(self.folder / told["file"]) as arrays:
            return arrays["scores"], told

    def _detector(self) -> dict[str, Any]:
        described = self.manifest["detection"]
        if described is None:
            reason = (
                f"is a variant, {self.variant}, whose scores aren't calibrated: take the full bundle"
                if self.variant
                else "was exported from data without a validation part, or with detection: null in its recipe"
            )
            raise DataError(f"{self.folder} has no detector: it {reason}")
        return dict(described)

    def sample(self, count: int, seed: int = 0, labels: Labels = None) -> Array:
        """`count` draws of the fitted sampler, or of the prior, decoded; [count, *event] in the data's units."""
        if count < 1:
            raise DataError(f"at least 1 sample is wanted; given {count}")
        self.session("decoder")
        width = self.manifest["graphs"]["sample"]["inputs"]["noise"]["shape"][1]
        noise = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
        return self._run("sample", {"noise": noise}, labels)[0]

    def generate(self, count: int, seed: int = 0, first: int = 0, labels: Labels = None) -> Array:
        """Draws `first` to `first + count - 1` of a seed; the graph itself makes their noise, alike in any runtime."""
        if count < 1 or not 0 <= first <= LIMIT - count or not 0 <= seed < LIMIT:
            raise DataError(
                f"seed {seed} and draws {first} to {first + count - 1} were given; wanted whole numbers from 0 to "
                f"{LIMIT - 1}, and at least 1 draw"
            )
        index = np.arange(first, first + count, dtype=np.float32)
        return self._run("generate", {"seed": np.full(count, seed, np.float32), "index": index}, labels)[0]

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
        """What a graph gives for all that it takes, by the names of bundle.json; for servers, which speak of graphs.

        Raises:
            DataError: an input is missing, unknown, of another shape or holds what the model doesn't take.
        """
        described = self.manifest["graphs"][graph]
        wanted = described["inputs"]
        if inputs.keys() != wanted.keys():
            raise DataError(f"inputs {', '.join(inputs) or 'none'} were given; wanted {', '.join(wanted)}")
        rows = {
            name: checked(inputs[name], self.spec) if name == "x" else _numbers(name, inputs[name], tensor["shape"][1:])
            for name, tensor in wanted.items()
            if name != "label"
        }
        if "token" in rows:
            rows["token"] = self._ids(rows["token"])
        if len({len(values) for values in rows.values()}) > 1:
            counts = ", ".join(f"{len(values)} of {name}" for name, values in rows.items())
            raise DataError(f"rows were given as {counts}; wanted as many of each")
        return dict(zip(described["outputs"], self._run(graph, rows, inputs.get("label")), strict=True))

    def run(self, graph: str, inputs: dict[str, Array]) -> list[Array]:
        """A graph's outputs in their order, of inputs that are what it takes: `answer` without a check."""
        return list(self.session(graph).run(None, inputs))

    def _ids(self, tokens: Array) -> Array:
        spec = self.spec
        assert isinstance(spec, TextSpec)  # of a graph that takes tokens
        if not ((tokens == np.rint(tokens)) & (tokens >= 0) & (tokens < spec.vocabulary)).all():
            raise DataError(
                f"token: {tokens.tolist()} were given; wanted whole numbers from 0 to {spec.vocabulary - 1}"
            )
        return tokens.astype(np.int32)

    def _run(self, name: str, inputs: dict[str, Array], labels: Labels, rows: int = BATCH) -> list[Array]:
        count = len(next(iter(inputs.values())))
        if self.classes:
            inputs = {**inputs, "label": self._labels(labels, count)}
        elif labels is not None:
            raise DataError("labels were given, but this model isn't conditional on any: leave them out")
        session = self.session(name)
        outputs = list(self.manifest["graphs"][name]["outputs"])
        try:
            chunks = []
            for start in range(0, count, rows):
                chunks.append(session.run(outputs, {key: value[start : start + rows] for key, value in inputs.items()}))
                self.progress(len(chunks[-1][0]))
        except Exception as error:  # onnxruntime's exceptions share no narrower root
            raise BundleError(
                f"{self.folder}: the graph {name} doesn't fit bundle.json ({error}): export again"
            ) from error
        return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]

    def session(self, name: str) -> onnxruntime.InferenceSession:
        """A graph, opened by onnxruntime.

        Raises:
            BundleError: there is no such graph, or onnxruntime doesn't read it.
        """
        if name not in self.manifest["graphs"]:
            raise BundleError(
                f"{self.folder} has no graph {name}, but {', '.join(self.manifest['graphs'])}"
                f"{': for text take Bundle.sentences' if self.spec.kind == 'text' else ''}"
            )
        if name not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            file = self.folder / self.manifest["graphs"][name]["file"]
            try:
                self._sessions[name] = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            except Exception as error:  # onnxruntime's exceptions share no narrower root
                raise BundleError(f"{file} can't be opened by onnxruntime: {error}") from error
        return self._sessions[name]

    def _labels(self, labels: Labels, count: int) -> Array:
        valid = f"0..{len(self.classes) - 1} ({', '.join(self.classes)})"
        if labels is None:
            raise DataError(f"this model is conditional on a label in {valid}; none was given")
        values = np.asarray(labels)
        if values.shape != (count,):
            raise DataError(f"labels of shape {list(values.shape)} were given for {count} examples: one each is wanted")
        if not np.issubdtype(values.dtype, np.integer) or values.min() < 0 or values.max() >= len(self.classes):
            raise DataError(f"labels {np.unique(values).tolist()} were given; wanted whole numbers in {valid}")
        return values.astype(np.int64)


def _numbers(name: str, values: Array, event: Sequence[int]) -> Array:
    """Values of a float32 input, an example each of shape `event`."""
    values = np.asarray(values)
    if values.shape[1:] != tuple(event) or values.ndim != len(event) + 1:
        wanted = ["examples", *event]
        raise DataError(f"{name}: values of shape {list(values.shape)} were given; wanted {wanted}".replace("'", ""))
    if values.dtype.kind not in "iuf":
        raise DataError(f"{name}: values of type {values.dtype} were given; numbers are wanted")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values.astype(np.float32))
    if len(values) == 0 or not np.isfinite(values).all():
        raise DataError(f"{name}: the values are none, or hold NaN or infinity")
    if name in ("seed", "index") and not ((values == np.rint(values)) & (values >= 0) & (values < LIMIT)).all():
        raise DataError(f"{name}: {values.tolist()} were given; wanted whole numbers from 0 to {LIMIT - 1}")
    return values


def _check(file: Path, sha256: str) -> None:
    try:
        given = hashlib.sha256(file.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise BundleError(f"{file} is missing from the bundle: export again") from error
    if given != sha256:
        raise BundleError(f"{file} isn't the file that was exported (its sha256 is {given[:12]}…): export again")
