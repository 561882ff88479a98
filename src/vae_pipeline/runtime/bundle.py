"""An exported bundle, used: encode, decode, reconstruct, score, sample, interpolate. Of text: `Bundle.sentences`.

Needs numpy and onnxruntime, and nothing else: no torch, no pydantic.

    from vae_pipeline.runtime.bundle import Bundle
    bundle = Bundle.load("exports/digits")
    bundle.sample(16, seed=0)            # [16, channels, height, width], in the data's units
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from vae_pipeline.kinds.spec import TextSpec
from vae_pipeline.kinds.table.drawing import Rules
from vae_pipeline.runtime.denoising import Denoised, denoise
from vae_pipeline.runtime.detection import Detection, alarms
from vae_pipeline.runtime.detector_entry import CalibrationEntry, DetectorEntry
from vae_pipeline.runtime.directions import Directions
from vae_pipeline.runtime.files import read_calibration, read_directions, read_golden, whole
from vae_pipeline.runtime.graphs import BATCH, Graphs
from vae_pipeline.runtime.inference import Encoding, Scores, encode, score
from vae_pipeline.runtime.inputs import Labels, checked_numbers, checked_observations
from vae_pipeline.runtime.latent_map import LatentMapEntry
from vae_pipeline.runtime.manifest import Manifest
from vae_pipeline.runtime.maps import decode_map, encode_map, reconstruct_map
from vae_pipeline.runtime.morphs import Morph, morph
from vae_pipeline.runtime.paths import evenly
from vae_pipeline.runtime.samples import generated, sampled
from vae_pipeline.runtime.sessions import TIMEOUT_S
from vae_pipeline.runtime.signatures import GraphName
from vae_pipeline.runtime.streams import DenoiseStream
from vae_pipeline.runtime.temperature import Temperature
from vae_pipeline.runtime.ways import PathKind, ways
from vae_pipeline.system.errors import DataError

if TYPE_CHECKING:
    from vae_pipeline.runtime.sentences import Sentences

Array = npt.NDArray[Any]
Rows = Any
"""An array [examples, *event]; of a table also a DataFrame, or records (mappings from column to value)."""


class Bundle(Graphs):
    """The graphs of one folder, used in the data's units. It can be copied and pickled."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process, and the tokenizer, which is read again."""
        return {name: value for name, value in super().__getstate__().items() if name != "sentences"}

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
    def variant(self) -> str | None:
        """`fp16` or `int8` if `vae-pipeline shrink` wrote it."""
        return None if self.manifest.variant is None else self.manifest.variant.kind

    @cached_property
    def sentences(self) -> "Sentences":
        """The tasks on text; the tokenizer is read once.

        Raises:
            DataError: the model isn't one of sentences.
        """
        if not isinstance(self.spec, TextSpec):
            raise DataError(f"{self.folder} is a model of a kind {self.spec.kind}: it has no sentences")
        from vae_pipeline.runtime.sentences import Sentences  # noqa: PLC0415 (tokenizers costs only those who have text)

        return Sentences(self, self.spec)

    def encode(self, x: Rows, labels: Labels = None) -> Encoding:
        """q(z|x) of raw observations [examples, *event]; of a table, a DataFrame or records do as well."""
        return encode(self, x, labels)

    def decode(self, z: Array, labels: Labels = None) -> Array:
        """E[x|z] of latents [examples, latents], in the data's units."""
        wanted = self.entry(GraphName.DECODER).inputs["z"]
        return self.spec.natural(self.rows(GraphName.DECODER, {"z": checked_numbers("z", z, wanted)}, labels)[0])

    def reconstruct(self, x: Rows, labels: Labels = None, tile: int | None = None) -> Array:
        """E[x|z] at the posterior's mean, in the data's units; where latents are a map, of images of any size.

        `tile` computes an image in tiles of so many pixels a side, beside which lies what they depend on: in less
        memory the same answer. See `encode_map`.
        """
        if tile is not None or (self.latent_map is not None and np.shape(x)[1:] != self.spec.event_shape):
            return reconstruct_map(self, x, labels, tile)
        return self.spec.natural(self.rows(GraphName.RECONSTRUCT, {"x": checked_observations(x, self.spec)}, labels)[0])

    def denoise(self, x: Array, labels: Labels = None, mix: float = 1.0, tile: int | None = None) -> Denoised:
        """Clean images or recordings of corrupted ones, and the interval of each value, in the data's units.

        Recordings may have any length; images any size, and `tile` as in `reconstruct`, where latents are a map. A
        `mix` under 1 leaves a part as it came, and the intervals are the clean values' all the same. A model of images
        that wasn't trained to denoise gives the mean of its draws, and no intervals.
        """
        return denoise(self, x, labels, mix, tile)

    def denoise_stream(self, count: int = 1) -> DenoiseStream:
        """A stream of sound, or `count` at once, that is given chunk by chunk; of a model that denoises sound."""
        return DenoiseStream(self, count)

    @property
    def latent_map(self) -> LatentMapEntry | None:
        """The channels, factor, radii and spread of a map of latents; None where latents are a vector."""
        return self.manifest.latent_map

    def encode_map(self, x: Array, labels: Labels = None, tile: int | None = None, scaled: bool = False) -> Encoding:
        """q(z|x) of raw images of any size, as maps [examples, latent channels, rows, columns].

        A map has a place for each factor x factor pixels; sides that the factor doesn't divide are padded by repeating
        the last row and column. `tile` as in `reconstruct`. `scaled` gives latents of mean 0 and deviation 1 in each
        channel, over draws of q(z|x) of the training part: what a model of these latents is to be trained on.

        Raises:
            DataError: the latents are no map, the images can't be used, or tiles wouldn't be exact.
        """
        return encode_map(self, x, labels, tile, scaled)

    def decode_map(self, z: Array, labels: Labels = None, tile: int | None = None, scaled: bool = False) -> Array:
        """E[x|z] of maps of any size, in the data's units; of `scaled` ones that `encode_map` gave, say so.

        Raises:
            DataError: the latents are no map, these are none of the model's, or tiles wouldn't be exact.
        """
        return decode_map(self, z, labels, tile, scaled)

    def score(self, x: Rows, labels: Labels = None, samples: int = 16, seed: int = 0) -> Scores:
        """-ELBO, distortion and rate, averaged over `samples` draws of z.

        Every example gets the same draws, so that its score doesn't depend on its neighbours.
        """
        return score(self, x, labels, samples, seed)

    @property
    def detects(self) -> bool:
        """True if there is a detector: a variant has none, nor has a model of data without a validation part."""
        return self.manifest.detection is not None

    @property
    def least_alpha(self) -> float:
        """The lowest false-alarm rate that the calibration can tell.

        Raises:
            DataError: the bundle has no detector.
        """
        return self.detector.least_alpha

    def detect(self, x: Rows, labels: Labels = None) -> Detection:
        """Score each example, with a p-value among the examples that were held back; deterministic.

        Raises:
            DataError: the bundle has no detector.
        """
        draws, given = self.detector.draws, {"x": checked_observations(x, self.spec)}
        return Detection(*self.rows(GraphName.DETECT, given, labels, max(1, BATCH // draws)))

    def alarms(self, found: Detection, alpha: float) -> Array:
        """Alarms: the examples over the threshold of the false-alarm rate `alpha`.

        Raises:
            DataError: the calibration is too small to tell.
        """
        self.detector.require(alpha)
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

    def sample(
        self, count: int, seed: int = 0, labels: Labels = None, temperature: Temperature = 1.0,
        draw: bool | None = None, **rules: Unpack[Rules],
    ) -> Array:  # fmt: skip
        """`count` draws of the fitted sampler, or of the prior, decoded; [count, *event] in the data's units.

        A `temperature` under 1 keeps nearer to the mean; the levels of a ladder may have one each, topmost first. Rows
        of a table are drawn from p(x|z), NaN where one lacks a value. Images are drawn so where `draw` is True and the
        recipe has `export.draws`. All else is E[x|z]. Of a table, `where` is what each row meets, such as `age >= 60`;
        each class of the column `balance` comes as often as the others; rows that break one of `checks`, such as
        `start <= end`, are counted in `draws`, and left out if `only_valid`.

        Raises:
            DataError: less than one is wanted, draws of a bundle that makes none, or rows that rules don't allow.
        """
        return sampled(self, count, seed, labels, temperature, draw, rules)

    def generate(
        self, count: int, seed: int = 0, first: int = 0, labels: Labels = None, draw: bool | None = None,
        **rules: Unpack[Rules],
    ) -> Array:  # fmt: skip
        """Draws from `first` on of a seed, as in `sample`; the graph makes their noise, alike in any runtime.

        Where rules leave some out, the next ones begin at `first + draws["drawn"]`.
        """
        return generated(self, count, seed, first, labels, draw, rules)

    def interpolate(
        self, start: Array, end: Array, steps: int, kind: PathKind = "spherical",
        label: int | str | None = None, even: bool = False,
    ) -> Array:  # fmt: skip
        """Observations [steps, *event] along a path between the posterior means of two observations.

        `even` places the steps so that each changes the observation by the same amount (the Euclidean distance).
        """
        if steps < 2:
            raise DataError(f"a path needs at least 2 steps; given {steps}")
        (seen,) = ways(self, np.stack([start, end]), kind, label)
        return seen(evenly(seen, steps) if even else np.linspace(0, 1, steps))

    def morph(
        self, x: Array, frames: int | None = None, path: PathKind = "spherical", label: int | str | None = None,
        even: bool = False, hold: int = 0, loop: bool = False,
    ) -> Morph:  # fmt: skip
        """A sequence of frames through the reconstructions of two observations or more, and what it measures.

        There are 24 steps from each to the next, or `frames` in all, without those by which each observation is held
        longer. A loop goes on to the first again, and leaves out the last frame, which is the first.

        Raises:
            DataError: there are fewer than two observations, fewer frames than observations, or no such path.
        """
        if len(x) < 2:
            raise DataError(f"a morph leads from one example to others; given {len(x)}: name another file")
        stops = np.concatenate([x, x[:1]]) if loop else x
        return morph(ways(self, stops, path, label), frames, even, hold, loop)

    @cached_property
    def directions(self) -> Directions:
        """The directions that `edit` knows, with what each was worth on the validation part.

        Raises:
            DataError: the bundle has none.
            BundleError: the file isn't the one that was exported, or holds something else.
        """
        entry = self.manifest.directions
        if entry is None:
            raise DataError(
                f"{self.folder} has no directions: they come with an export of data that have attributes, or classes "
                "that the model isn't conditional on"
            )
        return Directions(entry.found, read_directions(self.folder, entry, self.latents))

    def edit(self, x: Rows, towards: Mapping[str, float], labels: Labels = None) -> Array:
        """E[x|z] at the posterior's mean, moved along directions; 1 is the way from the mean of others to its own.

        Raises:
            DataError: the bundle has no such direction.
        """
        return self.decode(self.directions.moved(self.encode(x, labels).mean, towards), labels)
