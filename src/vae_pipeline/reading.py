"""YAML files into validated models; every failure is a RecipeError of one line that names the file."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from vae_pipeline.errors import RecipeError
from vae_pipeline.explain import brief, explain

Model = TypeVar("Model", bound=BaseModel)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML keeps the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """Read YAML.

    Raises:
        RecipeError: there is no such file, or it isn't YAML.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except FileNotFoundError as error:
        near = sorted(sibling.name for sibling in path.parent.glob("*.yaml"))
        raise RecipeError(f"{path} isn't there; in {path.parent} are: {', '.join(near) or 'no recipes'}") from error
    except OSError as error:
        raise RecipeError(f"can't read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path} isn't text in UTF-8, so it can't be a recipe") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise RecipeError(f"{path} isn't YAML{where}: {getattr(error, 'problem', error)}") from error
    except RecursionError as error:
        raise RecipeError(f"{path} is nested too deep to be a recipe") from error
    except ValueError as error:  # a date or a number that YAML's grammar allows and Python doesn't
        raise RecipeError(f"{path} isn't a recipe ({error}): put the value in quotes, or mend it") from error


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
