"""Directions of a bundle's latent space, in use: latents moved towards what the directions' names say."""

import difflib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vae_pipeline.runtime.manifest import DirectionEntry
from vae_pipeline.system.errors import DataError

Array = npt.NDArray[Any]
LISTED = 20  # names in an error


class Directions(Mapping[str, DirectionEntry]):
    """The facts about each direction, by its name; an amount of 1 leads from one mean to the other."""

    def __init__(self, found: tuple[DirectionEntry, ...], vectors: Array) -> None:
        self._found = {each.name: each for each in found}
        self.vectors = dict(zip(self._found, vectors, strict=True))
        """The vector [latents] of each."""

    def __getitem__(self, name: str) -> DirectionEntry:
        if name not in self._found:
            raise DataError(f"there is no direction {name!r}, but {self._listed(name)}")
        return self._found[name]

    def __iter__(self) -> Any:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def moved(self, z: Array, towards: Mapping[str, float]) -> Array:
        """Latents [examples, latents], moved by so much along each direction.

        Raises:
            DataError: there is no direction of a name, or an amount isn't finite.
        """
        for name, amount in towards.items():
            if not math.isfinite(amount):
                raise DataError(f"the amount {amount} of {name} was given: wanted a finite number")
            z = z + amount * self.vectors[self[name].name]
        return z.astype(np.float32)

    def _listed(self, name: str) -> str:
        """The names that there are, the most alike first."""
        alike = sorted(self, key=lambda each: -difflib.SequenceMatcher(None, name.lower(), each.lower()).ratio())
        more = f" and {len(alike) - LISTED} more" if len(alike) > LISTED else ""
        return ", ".join(alike[:LISTED]) + more
