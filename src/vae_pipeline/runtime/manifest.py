"""bundle.json as frozen dataclasses, checked whole when it is read: whoever holds a `Manifest` needs to doubt no field.

A bundle may come from anywhere. No name in it leads out of its folder, and no number in it asks for more memory than a
model could have any use for.
"""

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vae_pipeline.kinds.spec import AudioSpec, DataSpec, spec_of
from vae_pipeline.runtime.denoising_entry import DenoisingEntry
from vae_pipeline.runtime.detector_entry import DetectorEntry
from vae_pipeline.runtime.formats import upgraded
from vae_pipeline.runtime.inside import require_inside
from vae_pipeline.runtime.latent_map import LatentMapEntry
from vae_pipeline.runtime.privacy_entry import PrivacyEntry
from vae_pipeline.runtime.signatures import MAPS, STREAM, GraphName, Signature, missing, signatures_of
from vae_pipeline.system.errors import BundleError, DataError
from vae_pipeline.system.files import content_key, sha256_of, write_json
from vae_pipeline.system.typed_json import read_json, typed

FILE = "bundle.json"
DIGEST = "sha256"
"""The key of the digest of all the others."""
LATER = ("variant", "directions", "latent_map", "levels", "denoising", "privacy")
"""Fields that came later, and are left out where there is nothing to say."""
WIDEST, LARGEST = 2**16, 2**28  # numbers in a row of latents or noise; in a row of anything
FREE = ("height", "width", "rows", "columns", "samples")
"""Sides of any length: of images that graphs of maps take, of these maps, and of a chunk of sound."""
DTYPES = ("uint8", "int32", "int64", "float32")


@dataclass(frozen=True)
class TensorEntry:
    """An input or output of a graph."""

    dtype: str
    shape: tuple[int | str, ...]
    """`batch` and the sides of a row; of a map its free sides by their names."""

    def __post_init__(self) -> None:
        known = [side for side in self.event if side not in FREE]
        if self.dtype not in DTYPES or self.shape[:1] != ("batch",) or not all(_counts(side) for side in known):
            raise ValueError(f"{self.dtype} of shape {list(self.shape)}; wanted {', '.join(DTYPES)}, batch and sides")
        if math.prod(int(side) for side in known) > LARGEST:
            raise ValueError(f"a row of shape {list(self.event)} has over {LARGEST} numbers")

    @property
    def event(self) -> tuple[int | str, ...]:
        """The shape of a row."""
        return self.shape[1:]


@dataclass(frozen=True)
class GraphEntry:
    """A graph and its golden answers."""

    about: str
    file: str
    sha256: str
    golden: str
    golden_sha256: str
    inputs: dict[str, TensorEntry]
    outputs: dict[str, TensorEntry]

    def __post_init__(self) -> None:
        require_inside(self.file, self.golden)


@dataclass(frozen=True)
class DirectionEntry:
    """A direction of the latent space: from the mean of examples that don't show something to that of those that do."""

    name: str
    kind: Literal["attribute", "class"]
    shown: int
    """Training examples that show it."""
    others: int
    """Training examples that don't."""
    auroc: float | None
    """The AUROC by which a projection onto the direction tells validation examples that show it; None where none do."""
    auroc_standard_error: float | None

    @property
    def is_chance(self) -> bool:
        """True unless validation examples say that the direction is better than chance, by two standard errors."""
        return self.auroc is None or self.auroc - 2 * (self.auroc_standard_error or 0.0) <= 0.5


@dataclass(frozen=True)
class DirectionsEntry:
    """The file of the directions, and what is known of each, in its order."""

    file: str
    sha256: str
    found: tuple[DirectionEntry, ...]

    def __post_init__(self) -> None:
        require_inside(self.file)
        if not 1 <= len({each.name for each in self.found}) == len(self.found):
            raise ValueError("found names no direction, or one of them twice")


@dataclass(frozen=True)
class VariantEntry:
    """The origin of a smaller bundle."""

    kind: str
    of: str
    """The sha256 of the full bundle's bundle.json."""


@dataclass(frozen=True)
class Manifest:
    """The content of bundle.json."""

    format: int
    producer: str
    recipe: str
    licence: str
    recipe_sha256: str
    data_sha256: str
    weights_sha256: str
    latents: int
    sampler: str
    conditional: bool
    detection: DetectorEntry | None
    spec: DataSpec
    units: dict[str, str]
    metrics: dict[str, float | str | bool]
    graphs: dict[str, GraphEntry]
    latent_map: LatentMapEntry | None = None
    """None where latents are no map: then nothing but the trained size is taken."""
    variant: VariantEntry | None = None
    directions: DirectionsEntry | None = None
    files: dict[str, str] = field(default_factory=dict)
    """The sha256 of each file that a person or `verify` reads; a bundle that was exported earlier has none of these."""
    denoising: DenoisingEntry | None = None
    """None where the model wasn't trained to denoise, or its intervals couldn't be calibrated."""
    levels: tuple[int, ...] = ()
    """The numbers of latents of a ladder's levels, topmost first in z; empty where z is one level."""
    privacy: PrivacyEntry | None = None
    """None where training promised nothing to the rows that it saw."""

    @classmethod
    def load(cls, folder: Path) -> "Manifest":
        """Read bundle.json.

        Raises:
            BundleError: it isn't there, is of another format, or says what can't be.
        """
        path = folder / FILE
        try:
            values = read_json(path)
            if not isinstance(values, dict):
                raise ValueError("it isn't a mapping")
            _require_digest(values)
            values = upgraded(values, folder)
            if "spec" in values:
                values["spec"] = spec_of(values["spec"])
            return typed(cls, values)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BundleError(f"{path} isn't there: name a folder that `vae-pipeline export` filled") from error
        except OSError as error:
            raise BundleError(f"{path} can't be read: name a folder that `vae-pipeline export` filled") from error
        except (ValueError, DataError) as error:
            raise BundleError(f"{path} isn't a bundle's manifest ({error}): export again") from error

    def __post_init__(self) -> None:
        require_inside(*self.files)
        if not 1 <= self.latents <= WIDEST:
            raise ValueError(f"latents are {self.latents}; wanted 1 to {WIDEST}")
        if self.conditional and not self.spec.classes:
            raise ValueError("conditional is true, but the spec names no classes")
        if self.levels and (min(self.levels) < 1 or sum(self.levels) != self.latents):
            raise ValueError(f"levels are {list(self.levels)}; wanted numbers from 1 that sum to {self.latents}")
        signatures = signatures_of(self.spec, self.latent_map is not None)
        for name in missing(self.spec, signatures, self.graphs):
            raise ValueError(f"graphs.{name} is missing")
        for given, graph in self.graphs.items():
            if given not in signatures:
                raise ValueError(f"graphs.{given} is none of {', '.join(signatures)}")
            self._check(GraphName(given), graph, signatures[GraphName(given)])
        if (self.detection is not None) != (GraphName.DETECT in self.graphs):
            raise ValueError("detection and the graph detect go together: wanted both or neither")
        if (self.denoising is not None) != (GraphName.DENOISE in self.graphs):
            raise ValueError("denoising and the graph denoise go together: wanted both or neither")
        streams = self.denoising is not None and self.denoising.stream is not None
        if streams != (GraphName.DENOISE_STREAM in self.graphs):
            raise ValueError("denoising.stream and the graph denoise_stream go together: wanted both or neither")
        if self.denoising is None and GraphName.MAP_DENOISE in self.graphs:
            raise ValueError("the graph map_denoise is there, and denoising isn't: wanted both or neither")

    def _check(self, name: GraphName, graph: GraphEntry, signature: Signature) -> None:
        inputs = (*signature.inputs, "label") if self.conditional and signature.labelled else signature.inputs
        if tuple(graph.inputs) != inputs or tuple(graph.outputs) != signature.outputs:
            raise ValueError(
                f"graphs.{name} takes {', '.join(graph.inputs)} and gives {', '.join(graph.outputs)}; wanted "
                f"{', '.join(inputs)} and {', '.join(signature.outputs)}"
            )
        event: tuple[int | str, ...] = self.spec.event_shape
        latents: tuple[int | str, ...] = (self.latents,)
        if name in MAPS and self.latent_map is not None:
            event, latents = (event[0], "height", "width"), (self.latent_map.channels, "rows", "columns")
        wanted = dict.fromkeys(
            ("x", "x_mean", "contributions", "x_clean", "x_low", "x_high", "x_drawn", "present"), event
        )
        if isinstance(self.spec, AudioSpec):
            del wanted["contributions"]  # they are of the bands and frames of the model's view
        if name in STREAM and self.denoising is not None and self.denoising.stream is not None:
            wanted |= dict.fromkeys(("chunk", "clean", "low", "high"), (event[0], "samples"))
            wanted |= dict.fromkeys(("state", "next_state"), (event[0], self.denoising.stream.context))
        wanted |= dict.fromkeys(("z", "z_again", "mean", "log_variance"), latents)
        for key, tensor in {**graph.inputs, **graph.outputs}.items():
            rows = f"graphs.{name}: {key} has rows of {list(tensor.event)}; wanted"
            if key in wanted and tensor.event != wanted[key]:
                raise ValueError(f"{rows} {list(wanted[key])}")
            if key not in wanted and name not in STREAM and any(side in FREE for side in tensor.event):
                raise ValueError(f"{rows} sides that are numbers")
            flat = key in ("noise", "uniform", "state") and name not in STREAM
            widest = LARGEST if key == "uniform" else WIDEST
            if flat and not (len(tensor.event) == 1 and int(tensor.event[0]) <= widest):
                raise ValueError(f"{rows} one side to {widest}")

    @property
    def tempered(self) -> tuple[int, ...]:
        """The numbers of noise that have a temperature of their own; a fitted sampler mixes its noise in all levels."""
        return self.levels if self.levels and self.sampler == "prior" else (self.latents,)

    @property
    def noise(self) -> int:
        """Numbers that a draw of `sample` wants."""
        return int(self.graphs[GraphName.SAMPLE].inputs["noise"].event[0])

    @property
    def arrays(self) -> dict[str, str]:
        """The sha256 of each file of numbers beside the graphs."""
        calibration = None if self.detection is None else self.detection.calibration
        return {entry.file: entry.sha256 for entry in (calibration, self.directions) if entry is not None}

    def save_with(self, folder: Path, *names: str) -> None:
        """Write bundle.json, with the digests of files that lie beside it already."""
        replace(self, files={name: sha256_of(folder / name) for name in names}).save(folder)

    def save(self, folder: Path) -> None:
        """Write bundle.json, with a digest of what it says."""
        values = self.to_dict()
        write_json(folder / FILE, values | {DIGEST: content_key(values)})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as bundle.json has them."""
        values = asdict(self) | {"spec": self.spec.to_dict()}
        if self.detection is not None:  # both came later
            if self.detection.segments is None:
                del values["detection"]["segments"]
            if self.detection.contributions == "distortion":
                del values["detection"]["contributions"]
        return {name: value for name, value in values.items() if value or name not in LATER}


def _require_digest(values: dict[str, Any]) -> None:
    given = values.pop(DIGEST, None)  # those that were exported earlier have none
    if given not in (None, content_key(values)):
        raise ValueError("it was altered: its content doesn't have the sha256 that it gives")


def _counts(side: int | str) -> bool:
    return isinstance(side, int) and side >= 1
