"""bundle.json as frozen dataclasses, checked whole when it is read: whoever holds a `Manifest` needs to doubt no field.

A bundle may come from anywhere. No name in it leads out of its folder, and no number in it asks for more memory than a
model could have any use for.
"""

import math
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from vae_pipeline.kinds.spec import DataSpec, TextSpec, spec_of
from vae_pipeline.system.errors import BundleError, DataError
from vae_pipeline.system.files import content_key, sha256_of, write_json
from vae_pipeline.system.typed_json import read_json, typed

FORMAT = 3
FILE = "bundle.json"
DIGEST = "sha256"
"""The key of the digest of all the others."""
WIDEST, LARGEST = 2**16, 2**28  # numbers in a row of latents or noise; in a row of anything
SIGNATURES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "encoder": (("x",), ("mean", "log_variance")),
    "decoder": (("z",), ("x_mean",)),
    "reconstruct": (("x",), ("x_mean",)),
    "score": (("x", "noise"), ("negative_elbo", "distortion", "rate")),
    "sample": (("noise",), ("x_mean",)),
    "generate": (("seed", "index"), ("x_mean",)),
    "detect": (("x",), ("score", "p_value", "distortion", "rate", "contributions")),
}
"""Inputs and outputs of the graphs of images and tables; a conditional model takes `label` as the last."""
STEPWISE = {
    "encoder": SIGNATURES["encoder"],
    "score": SIGNATURES["score"],
    "initial": (("z",), ("state",)),
    "sample": (("noise",), ("state",)),
    "step": (("token", "state"), ("log_probability", "next_state")),
    "greedy": (("z",), ("tokens",)),
}
"""Inputs and outputs of the graphs of sentences."""
DTYPES = ("uint8", "int32", "int64", "float32")


@dataclass(frozen=True)
class TensorEntry:
    """An input or output of a graph."""

    dtype: str
    shape: tuple[int | str, ...]
    """`batch` and the sides of a row."""

    def __post_init__(self) -> None:
        sides = self.shape[1:]
        if self.dtype not in DTYPES or self.shape[:1] != ("batch",) or not all(_counts(side) for side in sides):
            raise ValueError(f"{self.dtype} of shape {list(self.shape)}; wanted {', '.join(DTYPES)}, batch and sides")
        if math.prod(int(side) for side in sides) > LARGEST:
            raise ValueError(f"a row of shape {list(sides)} has over {LARGEST} numbers")

    @property
    def event(self) -> tuple[int, ...]:
        """The shape of a row."""
        return tuple(int(side) for side in self.shape[1:])


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
        _require_inside(self.file, self.golden)


@dataclass(frozen=True)
class CalibrationEntry:
    """The file of the scores of examples held back, and facts about them."""

    file: str
    sha256: str
    part: str
    examples: int
    collected: str | None
    """The time of the data's collection, in words."""
    epoch_chosen_by_it: bool
    """Whether training chose its epoch by these examples, so that p-values are a little too low."""

    def __post_init__(self) -> None:
        _require_inside(self.file)
        if self.examples < 1:
            raise ValueError(f"examples are {self.examples}; wanted 1 or more")


@dataclass(frozen=True)
class DetectorEntry:
    """The score, draws and calibration of `detect`."""

    score: str
    draws: int
    calibration: CalibrationEntry

    def __post_init__(self) -> None:
        if not 1 <= self.draws <= WIDEST:
            raise ValueError(f"draws are {self.draws}; wanted 1 to {WIDEST}")


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
    variant: VariantEntry | None = None
    files: dict[str, str] = field(default_factory=dict)
    """The sha256 of each file that a person or `verify` reads; a bundle that was exported earlier has none of these."""

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
            written = values.get("format")
            if isinstance(written, int) and written != FORMAT:
                todo = "update vae-pipeline" if written > FORMAT else "export again"
                raise BundleError(f"{folder} has bundle format {written}, this version reads {FORMAT}: {todo}")
            _require_digest(values)
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
        _require_inside(*self.files)
        if not 1 <= self.latents <= WIDEST:
            raise ValueError(f"latents are {self.latents}; wanted 1 to {WIDEST}")
        if self.conditional and not self.spec.classes:
            raise ValueError("conditional is true, but the spec names no classes")
        signatures = STEPWISE if isinstance(self.spec, TextSpec) else SIGNATURES
        for name in signatures:
            if name not in self.graphs and name != "detect":
                raise ValueError(f"graphs.{name} is missing")
        for name, graph in self.graphs.items():
            if name not in signatures:
                raise ValueError(f"graphs.{name} is none of {', '.join(signatures)}")
            self._check(name, graph, *signatures[name])
        if (self.detection is not None) != ("detect" in self.graphs):
            raise ValueError("detection and the graph detect go together: wanted both or neither")

    def _check(self, name: str, graph: GraphEntry, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        inputs += ("label",) if self.conditional else ()
        if tuple(graph.inputs) != inputs or tuple(graph.outputs) != outputs:
            raise ValueError(
                f"graphs.{name} takes {', '.join(graph.inputs)} and gives {', '.join(graph.outputs)}; wanted "
                f"{', '.join(inputs)} and {', '.join(outputs)}"
            )
        wanted = {"x": self.spec.event_shape, "x_mean": self.spec.event_shape, "contributions": self.spec.event_shape}
        wanted |= dict.fromkeys(("z", "mean", "log_variance"), (self.latents,))
        for key, tensor in {**graph.inputs, **graph.outputs}.items():
            if key in wanted and tensor.event != wanted[key]:
                raise ValueError(f"graphs.{name}: {key} has rows of {list(tensor.event)}; wanted {list(wanted[key])}")
            if key in ("noise", "state") and not (len(tensor.event) == 1 and tensor.event[0] <= WIDEST):
                raise ValueError(f"graphs.{name}: {key} has rows of {list(tensor.event)}; wanted one side to {WIDEST}")

    @property
    def noise(self) -> int:
        """Numbers that a draw of `sample` wants."""
        return self.graphs["sample"].inputs["noise"].event[0]

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
        if self.variant is None:
            del values["variant"]
        return values


def _require_digest(values: dict[str, Any]) -> None:
    given = values.pop(DIGEST, None)  # those that were exported earlier have none
    if given not in (None, content_key(values)):
        raise ValueError("it was altered: its own sha256 is of something else")


def _require_inside(*names: str) -> None:
    for name in names:
        path = PurePosixPath(name)
        if not re.fullmatch(r"[\w .-]+(/[\w .-]+)*", name) or path.is_absolute() or ".." in path.parts:
            raise ValueError(f"the name {name[:60]!r} leads out of the bundle, or is none of a file")


def _counts(side: int | str) -> bool:
    return isinstance(side, int) and side >= 1
