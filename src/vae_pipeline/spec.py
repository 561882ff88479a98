"""DataSpec: what `prepare` found out about the data, and all that a model must know of it.

Plain dataclasses, so that an exported bundle can be used where only numpy and onnxruntime are installed.
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_pipeline.errors import DataError


@dataclass(frozen=True)
class ImageSpec:
    """Images as they lie on disk: [channels, height, width], unscaled."""

    shape: tuple[int, int, int]
    dtype: str
    """`uint8` or `float32`."""
    low: float
    high: float
    """The range of the values, which the model maps to [0, 1]."""
    binary: bool
    """Whether only `low` and `high` occur, so that a Bernoulli likelihood is a true probability."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, ...; empty where there are none."""
    kind: str = "image"

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return self.shape

    @property
    def dimensions(self) -> int:
        """Number of values in one observation."""
        return math.prod(self.shape)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ImageSpec":
        """Inverse of `to_dict`.

        Raises:
            DataError: a field is missing, unknown or of another kind.
        """
        try:
            if values["kind"] != "image":
                raise DataError(f"this version reads data of kind 'image'; given {values['kind']!r}")
            spec = cls(**{**values, "shape": tuple(values["shape"]), "classes": tuple(values["classes"])})
            spec._validate()
            return spec
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a data spec ({error}): run `vae-pipeline prepare` again") from error

    def _validate(self) -> None:
        if len(self.shape) != 3 or not all(isinstance(side, int) and side > 0 for side in self.shape):
            raise ValueError(f"shape is {list(self.shape)}; wanted channels, height and width")
        if self.dtype not in ("uint8", "float32") or not isinstance(self.binary, bool):
            raise ValueError(
                f"dtype is {self.dtype!r} and binary {self.binary!r}; wanted uint8 or float32, true or false"
            )
        if not math.isfinite(self.low) or not math.isfinite(self.high) or self.low >= self.high:
            raise ValueError(f"the range is {self.low} to {self.high}; wanted two finite numbers, low under high")
        if not all(isinstance(name, str) for name in self.classes):
            raise ValueError(f"classes are {list(self.classes)}; wanted names")

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "ImageSpec":
        """Read what `save` wrote.

        Raises:
            DataError: there is no such file, or it isn't a spec.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataError(f"{path} isn't there: run `vae-pipeline prepare` first") from error
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{path} can't be read as JSON ({error}): run `vae-pipeline prepare` again") from error
        try:
            return cls.from_dict(values)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error


DataSpec = ImageSpec
