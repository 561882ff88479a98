"""params.yaml with one more recipe, everything else as it was: comments, order and blanks."""

from pathlib import Path
from typing import Any

import yaml

from vae_pipeline.system.errors import RecipeError
from vae_pipeline.system.files import replace_file
from vae_pipeline.system.reading import read_yaml


def require_addable(path: Path, recipe: Path | None = None) -> dict[str, Any]:
    """The content of params.yaml; `recipe` is a file that is to be one of `pipeline/` beside it.

    Raises:
        RecipeError: the file isn't there or has no list `recipes`, or the recipe lies elsewhere.
    """
    if not path.is_file():
        raise RecipeError(f"{path} isn't there: lay a project out (init --project NAME), or leave --add out")
    if recipe is not None and recipe.resolve().parent != (path.resolve().parent / "pipeline"):
        raise RecipeError(
            f"{recipe} isn't in {path.parent / 'pipeline'}, where {path} looks for recipes: leave --out out"
        )
    content = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("recipes", ...), list | None):
        raise RecipeError(f"{path}: recipes must be a list of names, such as recipes: [digits]")
    return content


def add_recipe(path: Path, name: str) -> bool:
    """Add a name to the list `recipes`; False if it is there already.

    Raises:
        RecipeError: the file isn't there, has no such list, or is written in a way that can't be added to.
    """
    before = require_addable(path)
    names = before["recipes"] or []
    if name in names:
        return False
    text = _added(path.read_bytes().decode(), name if yaml.safe_load(name) == name else f"'{name}'")
    if yaml.safe_load(text) != {**before, "recipes": [*names, name]}:
        raise RecipeError(f"{path} is written in a way that can't be added to: add {name} to its recipes yourself")
    replace_file(path, text.encode())
    return True


def _added(text: str, name: str) -> str:
    """The text with the name after the last of the list."""
    root = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)  # it has the key
    key, node = next((key, value) for key, value in root.value if key.value == "recipes")
    if not isinstance(node, yaml.SequenceNode):  # the key alone, which is null
        return f"{text[: key.end_mark.index]}: [{name}]{text[node.end_mark.index :].removeprefix(':')}"
    if not node.value:
        return f"{text[: node.start_mark.index]}[{name}]{text[node.end_mark.index :]}"
    last = node.value[-1].end_mark.index
    if node.flow_style:
        return f"{text[:last]}, {name}{text[last:]}"
    newline = "\r\n" if "\r\n" in text else "\n"
    line = f"{' ' * node.start_mark.column}- {name}{newline}"
    before, end, after = text[:last], *text[last:].partition(newline)[::2]
    return f"{before}{end}{newline}{line}{after}"
