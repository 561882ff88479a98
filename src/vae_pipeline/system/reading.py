"""YAML files into validated models; every failure is a RecipeError of one line that names the file."""

import math
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.constructor import ConstructorError

from vae_pipeline.system.errors import RecipeError
from vae_pipeline.system.explain import brief, explain
from vae_pipeline.system.files import read_regular

Model = TypeVar("Model", bound=BaseModel)


LARGEST, DEEPEST, MOST = 2**20, 50, 100_000  # bytes; levels; values, each alias counted with all that it stands for


class _Loader(yaml.SafeLoader):
    """Looks at the whole tree before anything is built of it; of a key that is given twice YAML keeps the last."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"it is nested over {DEEPEST} levels deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _values(node, {}) > MOST:
            raise ValueError(f"its aliases stand for over {MOST:,} values")
        return node


def _values(node: yaml.Node, known: dict[int, float]) -> float:
    """The number of values in the tree once its aliases are written out; infinite where one stands for itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        known[id(node)] = 1 + sum(_values(each, known) for each in _children(node))
    return known[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if not isinstance(node, yaml.MappingNode):
        return []
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ConstructorError(None, None, "a list or a mapping can't be a key", key.start_mark)
        if key.value in seen:
            raise ConstructorError(None, None, f"the key {key.value} is given twice", key.start_mark)
        seen.add(key.value)
    return [value for _, value in node.value]


def read_yaml(path: Path) -> Any:
    """Read YAML.

    Raises:
        RecipeError: there is no such file, or it isn't YAML of a reasonable size.
    """
    try:
        content = read_regular(path, LARGEST)
    except FileNotFoundError as error:
        near = sorted(sibling.name for sibling in path.parent.glob("*.yaml"))
        raise RecipeError(f"{path} isn't there; in {path.parent} are: {', '.join(near) or 'no recipes'}") from error
    except OSError as error:
        raise RecipeError(f"can't read {path}: {error.strerror}") from error
    except ValueError as error:
        raise RecipeError(f"{path} isn't a recipe: {error}") from error
    return yaml_of(content, path)


def yaml_of(content: bytes, path: Path) -> Any:
    """The values of YAML that stands in `path`, or is to stand there.

    Raises:
        RecipeError: it isn't YAML of a reasonable size.
    """
    try:
        return yaml.load(content.decode("utf-8"), _Loader)
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} isn't text in UTF-8, so it can't be a recipe: name a .yaml file") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise RecipeError(f"{path} isn't YAML{where}: {getattr(error, 'problem', error)}") from error
    except ValueError as error:  # a limit; a date or a number that YAML's grammar allows and Python doesn't
        raise RecipeError(f"{path} isn't a recipe ({error}): mend it, or put a value in quotes") from error


def parse(cls: type[Model], values: Any, path: Path) -> Model:
    """Validate `values` as a `cls`; errors name `path`.

    Raises:
        RecipeError: the first thing that doesn't validate, with what would.
    """
    if not isinstance(values, dict):
        wanted = ", ".join(cls.model_fields)
        raise RecipeError(f"{path} isn't a recipe: wanted a mapping with {wanted}; given {brief(values)}")
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"{path}: {explain(cls, error)}") from error
