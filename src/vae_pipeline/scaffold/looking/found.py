"""The finding of a look at some data."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_pipeline.scaffold.facts import Facts
from vae_pipeline.system.errors import DataError

LEAST = 50  # examples, under which no part would be large enough to be measured
FEW = 500
PARTS = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation", "dev"),
    "test": ("test", "testing", "t10k"),
}
"""The names that folders, files and arrays of a part go by."""


@dataclass(frozen=True)
class Found:
    """Data as a recipe names them, and what a person is told of them."""

    facts: Facts
    data: dict[str, Any]
    """The section `data`."""
    about: str
    """The data in a few words: `1,000 colour pictures`."""
    said: Sequence[str]
    """Findings and decisions, a sentence each."""
    decided: Sequence[str] = ()
    """Decisions among them: what of the data is left out, or read in one way of several."""


@dataclass(frozen=True)
class Places:
    """The way in which a recipe writes a path."""

    root: Path
    """The folder in which it is to run; a path outside is written in full."""

    def written(self, path: Path) -> str:
        """The path as it stands in a recipe."""
        absolute, root = (Path(os.path.normpath(each.absolute())) for each in (path, self.root))
        return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)


def require_enough(count: int, what: str, path: Path) -> list[str]:
    """Refuse too few examples, and say so where there are few.

    Raises:
        DataError: there are too few.
    """
    if count < LEAST:
        raise DataError(f"{path} holds {count} {what}; a model takes {LEAST} at least, and some thousands to be good")
    return [f"{count} {what} are few: expect a rough model, and gather more"] if count < FEW else []


def fractions(count: int) -> dict[str, Any]:
    """The parts of data that are in one place, equal examples in one of them."""
    share = 0.1 if count >= 1000 else 0.15
    return {"valid": share, "test": share, "split": {"size": "exact", "duplicates": "together"}}
