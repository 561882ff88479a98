"""The class of every section, and the types of its fields."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, lt=1)]
SomeFraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9, strict=True)]
Layers = Annotated[tuple[Count, ...], Field(min_length=1)]
Shape = tuple[Count, Count, Count]
Place = Annotated[str, Field(min_length=1)]


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"pattern isn't a regular expression ({error})") from error
    return pattern


Pattern = Annotated[Place, AfterValidator(_compiled)]
Activation = Literal["relu", "tanh", "silu", "gelu", "gated"]


class Section(BaseModel):
    """A part of a recipe: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def later(default: Any) -> Any:
    """A field that came later: a recipe without it means `default`, and one that is at it is stored without it."""
    return Field(default, exclude_if=lambda value: value == default)


class Sharded(Section):
    """A section of data whose training part may lie in several files."""

    shards: Annotated[int, Field(ge=2, le=512, strict=True)] | None = later(None)
    """The number of files that the training part is dealt to, each machine having some of them; or null, which isn't
    stored, for a single file. It changes the order of an epoch (docs/machines.md)."""
