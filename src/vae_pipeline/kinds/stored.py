"""The parts that specs of all kinds share: the way to JSON and back, and answers that most of them give."""

import dataclasses
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy.typing as npt

from vae_pipeline.system.errors import DataError
from vae_pipeline.system.typed_json import typed

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class StoredSpec(ABC):
    """A dataclass that spec.json holds."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values of an observation; empty where they have none."""
        return ()

    @property
    def stepwise(self) -> bool:
        """True if an observation is made one value after the other, each given those before it."""
        return False

    @property
    def tells_anomalies(self) -> bool:
        """True if labels always say what is normal."""
        return False

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of what an observation may show or not; empty where none are known."""
        return ()

    def natural(self, x: Array) -> Array:
        """A graph's answer in the data's own units."""
        return x

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Inverse of `to_dict`.

        Raises:
            DataError: a field is missing, unknown or of another kind.
        """
        try:
            spec = typed(cls, values, closed=True)
            spec._validate()
            return spec
        except ValueError as error:
            raise DataError(f"not a data spec ({error}): run `vae-pipeline prepare` again") from error

    @abstractmethod
    def _validate(self) -> None:
        """Raise ValueError of fields that don't go together."""

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
