"""Space: the values among which a search looks for the best recipe, as `--set KEY=VALUES` writes them.

model.posterior.latents=8,16,32          choices, each as YAML has it; a whole section is {kind: mixture, ...}
train.batch=32..128:step=32              whole numbers
train.learning_rate=0.0003..0.003:log    real numbers, drawn evenly in their logarithm
"""

import copy
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from vae_pipeline.recipe import Recipe
from vae_pipeline.system.errors import RecipeError
from vae_pipeline.system.explain import brief, explain

MOST = 10_000
"""Corners of a space that are looked at, and combinations of a finite one that are counted."""
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER})(?P<log>:log)?(?::step=(?P<step>\d+))?")
_WHOLE = re.compile(r"[-+]?\d+")
WANTED = "wanted KEY=VALUES, such as model.posterior.latents=8,16,32 or train.learning_rate=0.0003..0.003:log"

Values = Mapping[str, Any]
"""Values of a recipe by their dotted keys."""


@dataclass(frozen=True)
class Choices:
    """Values without an order, by their texts as they were written."""

    values: Mapping[str, Any]

    @property
    def corners(self) -> Sequence[str]:
        """All of them."""
        return list(self.values)

    @property
    def all(self) -> Sequence[str] | None:
        """All of them."""
        return self.corners

    def value(self, parameter: Any) -> Any:
        """The value that a text stands for."""
        return self.values[parameter]

    def __str__(self) -> str:
        return ",".join(self.values)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both among them; whole ones where both are."""

    low: float
    high: float
    log: bool = False
    step: int = 1
    """Between whole numbers; real ones have none."""

    @property
    def whole(self) -> bool:
        """True if the numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def corners(self) -> Sequence[float]:
        """The two ends."""
        return [self.low] if self.low == self.high else [self.low, self.high]

    @property
    def all(self) -> Sequence[float] | None:
        """The numbers, where they can be counted."""
        return range(int(self.low), int(self.high) + 1, self.step) if self.whole else None

    def value(self, parameter: Any) -> Any:
        """The number itself."""
        return parameter

    def __str__(self) -> str:
        return f"{self.low}..{self.high}{':log' if self.log else ''}{f':step={self.step}' if self.step > 1 else ''}"


Dimension = Choices | Range


@dataclass(frozen=True)
class Space:
    """A dimension for each key."""

    dimensions: Mapping[str, Dimension]

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "Space":
        """Read each KEY=VALUES.

        Raises:
            RecipeError: there is none, one isn't such a text, or two of them set the same value.
        """
        if not texts:
            raise RecipeError(f"nothing to search: give --set once for each key, {WANTED}")
        dimensions: dict[str, Dimension] = {}
        for text in texts:
            key, equals, values = text.partition("=")
            if not equals or not key or not values:
                raise RecipeError(f"--set {text}: {WANTED}")
            for known in dimensions:
                if _overlap(key, known):
                    raise RecipeError(f"--set {key} and --set {known} set the same value: leave one of them out")
            found = _RANGE.fullmatch(values)
            dimensions[key] = _choices(text, values) if found is None else _range(text, found)
        return cls(dimensions)

    def values(self, parameters: Values) -> dict[str, Any]:
        """The values of a recipe that a trial's parameters stand for."""
        return {key: dimension.value(parameters[key]) for key, dimension in self.dimensions.items()}

    def touches(self, *sections: str) -> bool:
        """True if it changes one of these sections of a recipe, a value in one, or what one is a part of."""
        return any(_overlap(key, section) for key in self.dimensions for section in sections)

    def combinations(self) -> list[dict[str, Any]] | None:
        """The parameters of every possible trial; None where there are too many to be counted."""
        return self._product([dimension.all for dimension in self.dimensions.values()])

    def require_valid(self, raw: Values) -> int:
        """Look at every corner of the space before anything is trained; the number of those that the recipe refuses.

        `raw` is the recipe as its file has it.

        Raises:
            RecipeError: a key or a value is refused whatever the others are, or there are too many corners.
        """
        corners = self._product([dimension.corners for dimension in self.dimensions.values()])
        if corners is None:
            raise RecipeError(f"--set spans over {MOST:,} corners: search fewer keys, or fewer choices, at once")
        refused: dict[tuple[str, Any], RecipeError] = {}
        accepted, count = set[tuple[str, Any]](), 0
        for corner in corners:
            try:
                recipe_of(raw, self.values(corner))
                accepted |= corner.items()
            except RecipeError as error:
                count += 1
                for each in corner.items():
                    refused.setdefault(each, error)
        for each, why in refused.items():
            if each not in accepted:
                raise why
        return count

    def _product(self, ways: Sequence[Sequence[Any] | None]) -> list[dict[str, Any]] | None:
        if any(way is None for way in ways) or math.prod(len(way) for way in ways if way is not None) > MOST:
            return None
        chosen: Iterator[tuple[Any, ...]] = itertools.product(*(way for way in ways if way is not None))
        return [dict(zip(self.dimensions, each, strict=True)) for each in chosen]


def _overlap(one: str, other: str) -> bool:
    """True if two dotted keys are the same, or one of them is a part of the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def changed(raw: Values, values: Values) -> dict[str, Any]:
    """The recipe `raw` with other values.

    Raises:
        RecipeError: a key leads through something that isn't a section.
    """
    recipe = copy.deepcopy(dict(raw))
    for key, value in values.items():
        *path, last = key.split(".")
        section: Any = recipe
        for depth, name in enumerate(path, start=1):
            section = section.setdefault(name, {})
            if not isinstance(section, dict):
                here = ".".join(path[:depth])
                raise RecipeError(f"--set {key}: {here} is {brief(section)} in the recipe: set {here} as a whole")
        section[last] = copy.deepcopy(value)
    return recipe


def recipe_of(raw: Values, values: Values) -> Recipe:
    """The recipe `raw` with other values, validated.

    Raises:
        RecipeError: it is none; names the values, and the key that is wrong with the valid ones.
    """
    try:
        return Recipe.model_validate(changed(raw, values))
    except ValidationError as error:
        given = ", ".join(f"{key}={brief(value)}" for key, value in values.items())
        raise RecipeError(f"the recipe refuses {given}: {explain(Recipe, error)}") from error


def _choices(text: str, values: str) -> Choices:
    flow = f"[{values}]"
    try:
        found, node = yaml.safe_load(flow), yaml.compose(flow, yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RecipeError(f"--set {text}: the choices aren't YAML with commas between them; {WANTED}") from error
    assert isinstance(node, yaml.SequenceNode)  # brackets are around it
    texts = [flow[each.start_mark.index : each.end_mark.index].strip() for each in node.value]
    if not texts:
        raise RecipeError(f"--set {text}: there is no choice; {WANTED}")
    if len(set(texts)) < len(texts):
        raise RecipeError(f"--set {text}: one choice is given twice")
    return Choices(dict(zip(texts, found, strict=True)))


def _range(text: str, found: re.Match[str]) -> Range:
    low, high = (int(each) if _WHOLE.fullmatch(each) else float(each) for each in (found["low"], found["high"]))
    step, log = int(found["step"] or 1), found["log"] is not None
    whole = isinstance(low, int) and isinstance(high, int)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise RecipeError(f"--set {text}: a range goes from its lower to its higher number")
    if log and low <= 0:
        raise RecipeError(f"--set {text}: :log needs a lower end over 0")
    if found["step"] is not None and (not whole or log or step < 1 or (int(high) - int(low)) % step):
        raise RecipeError(f"--set {text}: :step is for whole numbers without :log, and leads from one end to the other")
    return Range(low, high, log, step) if whole else Range(float(low), float(high), log)
