"""DataSpec: what `prepare` found out about the data, and all that a model must know of it.

Plain dataclasses, one module a kind of observation, so that an exported bundle can be used where only numpy and
onnxruntime are installed.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from vae_pipeline.kinds.audio.spec import AudioSpec
from vae_pipeline.kinds.image.spec import ImageSpec, within
from vae_pipeline.kinds.table.spec import ANOMALIES, CLIP, Column, ColumnKind, TableSpec
from vae_pipeline.kinds.text.spec import TextSpec
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.typed_json import read_json

__all__ = [
    "ANOMALIES", "CLIP", "AudioSpec", "Column", "ColumnKind", "DataSpec", "ImageSpec", "TableSpec", "TextSpec",
    "load_spec", "spec_of", "within",
]  # fmt: skip

Array = npt.NDArray[Any]


class Spec(Protocol):
    """All that is asked of a spec, of whatever kind: what is said here needs no match on it."""

    @property
    def kind(self) -> str:
        """The kind's name, as spec.json has it."""
        ...

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        ...

    @property
    def dimensions(self) -> int | None:
        """Number of values in one observation; None where observations differ in it."""
        ...

    @property
    def dtype(self) -> str:
        """The type of a value on disk and in the graphs."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, ...; empty where there are none."""
        ...

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of what an observation may show or not; empty where none are known."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values of an observation; empty where they have none."""
        ...

    @property
    def unit(self) -> float | tuple[float, ...]:
        """The width relative to which differences of values are taken."""
        ...

    @property
    def binary(self) -> bool:
        """True if two values alone occur, so that a Bernoulli likelihood is a true probability."""
        ...

    @property
    def suffix(self) -> str:
        """The suffix of the files in which a person looks at observations."""
        ...

    @property
    def stepwise(self) -> bool:
        """True if an observation is made one value after the other, each given those before it."""
        ...

    @property
    def largest(self) -> int:
        """The most numbers that a graph computes of one observation in one place."""
        ...

    @property
    def absent(self) -> tuple[str, ...]:
        """Texts that stand for a missing value in a file, beside the usual ones."""
        ...

    @property
    def tells_anomalies(self) -> bool:
        """True if labels always say what is normal."""
        ...

    def checked(self, x: Array, first: int, centred: bool) -> Array:
        """Observations of the right shape as a graph takes them; DataError of values that can't occur."""
        ...

    def natural(self, x: Array) -> Array:
        """A graph's answer in the data's own units."""
        ...

    def metadata(self) -> dict[str, Any]:
        """A graph's metadata on raw values."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        ...

    def save(self, path: Path) -> None:
        """Write as JSON."""
        ...


DataSpec = ImageSpec | AudioSpec | TableSpec | TextSpec
"""Observations on disk, and where they come from."""


def _answers(spec: DataSpec) -> Spec:
    """Each member of the union has all answers: mypy names one that lacks some."""
    return spec


def spec_of(values: dict[str, Any]) -> DataSpec:
    """A spec from what its `to_dict` gave.

    Raises:
        DataError: a field is missing, unknown or of another kind.
    """
    kind = values.get("kind") if isinstance(values, dict) else None
    match kind:
        case "audio":
            return AudioSpec.from_dict(values)
        case "table":
            return TableSpec.from_dict(values)
        case "text":
            return TextSpec.from_dict(values)
        case _:
            return ImageSpec.from_dict(values)


def load_spec(path: Path) -> DataSpec:
    """Read what `save` wrote.

    Raises:
        DataError: there is no such file, or it isn't a spec.
    """
    try:
        values = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{path} isn't there: run `vae-pipeline prepare` first") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read as JSON ({error}): run `vae-pipeline prepare` again") from error
    try:
        return spec_of(values)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
