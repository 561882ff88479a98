"""The parameters of VAEDetector: the values that each may have, and a refusal, in scikit-learn's way, of any other."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

from vae_pipeline.kinds.spec import ColumnKind
from vae_pipeline.recipe.data import ColumnScaling
from vae_pipeline.recipe.detection import Score

Contamination = Literal["none", "some"]
LARGEST = {"latents": 1024, "components": 1024, "steps": 10_000_000, "draws": 1024}
WIDEST, DEEPEST = 4096, 16
CHOICES = {
    "scaling": get_args(ColumnScaling),
    "kind": tuple(kind for kind in get_args(Score) if kind != "hottest_part"),
    "contamination": get_args(Contamination),
}
KINDS = (*get_args(ColumnKind), "ignored")


def require_valid(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters, by their names, that no fit can have.

    Raises:
        ValueError: there is one; names it, what was given and what is wanted.
    """
    for name in ("alpha", "held_back"):
        value = parameters[name]
        share = isinstance(value, int | float | np.floating) and not isinstance(value, bool) and 0 < float(value) < 1
        _require(share, name, value, "a number between 0 and 1")
    for name, most in LARGEST.items():
        _require(is_whole(parameters[name], most), name, parameters[name], f"a whole number from 1 to {most:,}")
    for name, known in CHOICES.items():
        value = parameters[name]
        _require(isinstance(value, str) and value in known, name, value, f"one of {', '.join(known)}")
    layers = parameters["layers"]
    listed = isinstance(layers, list | tuple | np.ndarray) and 0 < len(layers) <= DEEPEST
    _require(
        listed and all(is_whole(width, WIDEST) for width in layers), "layers", layers,
        f"a list of 1 to {DEEPEST} whole numbers from 1 to {WIDEST:,}",
    )  # fmt: skip
    require_columns(parameters["columns"])


def require_columns(columns: object) -> None:
    """Refuse a parameter `columns` that says of a column what none can be.

    Raises:
        ValueError: it does.
    """
    told = columns is None or (isinstance(columns, Mapping) and all(kind in KINDS for kind in columns.values()))
    _require(told, "columns", columns, f"a name and one of {', '.join(KINDS)} for each")


def is_whole(value: object, most: int | None = None) -> bool:
    """True of a whole number from 1 to `most`, or from 1 up; numpy's too."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return False
    return int(value) >= 1 and (most is None or int(value) <= most)


def _require(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        given = repr(value)
        raise ValueError(f"{name}={given if len(given) < 100 else given[:97] + '...'} was given; wanted {wanted}")
