"""The fields of a recipe as a page: types and defaults of the JSON schema, meanings of the sections' docstrings."""

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from vae_pipeline.recipe import Recipe
from vae_pipeline.recipe.section import Section
from website.reference import attributes, sources

Node = dict[str, Any]
ROLES = {"File": "file", "ArrayPart": "images and labels"}
"""Sections that several fields hold, by a name that suits all of these."""
HEAD = """# All fields of a recipe

Written by `make docs` from the sections' own definitions. A field without a default must be given, and an unknown key
is an error. Where there is a choice, `kind` makes it, and decides which other fields there are. How to write a recipe,
and what goes with what, is on the page about [recipes](../pipeline/README.md).
"""


def _sections(section: type[Section] = Section) -> Iterator[type[Section]]:
    for each in section.__subclasses__():
        yield each
        yield from _sections(each)


def _choices(node: Node) -> list[Node]:
    return [each for key in ("oneOf", "anyOf") for each in node.get(key, ())]


def _name(node: Node) -> str:
    return str(node["$ref"]).rpartition("/")[2]


class _Page:
    def __init__(self) -> None:
        self.schema = Recipe.model_json_schema()
        self.classes = {each.__name__: each for each in _sections()}
        self.titles: dict[str, str] = {}
        """The heading of a section by the name of its class, in the order of the page."""
        self.told = {title for title in self.schema["properties"] if "$ref" in self.schema["properties"][title]}
        """Sections of the recipe whose heading is there."""
        self.title("recipe", "Recipe", self.schema)

    def title(self, role: str, name: str, node: Node) -> None:
        """Name a section by the field that it is met at first, and by its kind; then those that it holds."""
        if name in self.titles:
            return
        kind = node.get("properties", {}).get("kind", {})
        kinds = [kind["const"]] if "const" in kind else kind.get("enum", [])
        self.titles[name] = ": ".join([role, " or ".join(kinds)] if kinds else [role])
        for field, within in node["properties"].items():
            for held in self.held(within):
                self.title(ROLES.get(held, field), held, self.schema["$defs"][held])

    def held(self, node: Node) -> Iterator[str]:
        """The sections that a field may hold."""
        if "$ref" in node:
            yield _name(node)
        items = [node[key] for key in ("items", "additionalProperties") if isinstance(node.get(key), dict)]
        for each in (*_choices(node), *items):
            yield from self.held(each)

    def type(self, node: Node) -> str:
        """The values that a field may have, in words."""
        if "$ref" in node:
            title = self.titles[_name(node)]
            return f"[{title.rpartition(': ')[2]}](#{re.sub(r'[^a-z0-9_]+', '-', title)})"
        if choices := _choices(node):
            return ", ".join(self.type(each) for each in choices)
        if "const" in node or "enum" in node:
            return ", ".join(f"`{each}`" for each in node.get("enum", [node.get("const")]))
        match node.get("type"):
            case "array" if "prefixItems" in node:
                return f"{len(node['prefixItems'])} of: {self.type(node['prefixItems'][0])}"
            case "array":
                return f"list of: {self.type(node['items'])}"
            case "object":
                return f"names, to each: {self.type(node['additionalProperties'])}"
            case "integer" | "number" as kind:
                return " ".join(["whole number" if kind == "integer" else "number", *_bounds(node)])
            case "boolean":
                return "`true` or `false`"
            case "null":
                return "`null`"
            case _:
                return "text"

    def section(self, name: str) -> Iterator[str]:
        """A section's heading, what it is, and its fields."""
        title = self.titles[name]
        if title == "recipe" or title in self.schema["properties"]:
            yield f"## {title}"
            self.told.add(title)
        else:
            role = title.partition(":")[0]
            if role in self.schema["properties"] and role not in self.told:
                yield f"## {role}"
            yield f"### {title}"
            self.told.add(role)
        section = self.classes[name]
        yield inspect.getdoc(section) or ""
        node = self.schema if name == "Recipe" else self.schema["$defs"][name]
        meanings = {field: told for each in sources(section) for field, told in attributes(each)}
        rows = []
        for field, within in node.get("properties", {}).items():
            if field != "kind" or name not in self.classes:
                default = "" if field in node.get("required", ()) else _default(within.get("default"))
                cells = (f"`{field}`", self.type(within), default, meanings[field])
                rows.append("| " + " | ".join(re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in cells) + " |")
        if rows:
            yield "| field | value | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def _bounds(node: Node) -> list[str]:
    """The bounds of a number; the greatest count that is ever taken goes without saying."""
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {node[key]:g}" for key, sign in signs.items() if key in node and node[key] != 10**9]
    return [" and ".join(found)] if found else []


def _default(value: object) -> str:
    return "as there" if isinstance(value, dict) else f"`{json.dumps(value)}`"


def recipe_page() -> str:
    """The fields of all sections, as `docs/recipe.md`."""
    page = _Page()
    return "\n\n".join([HEAD.rstrip(), *(part for name in page.titles for part in page.section(name))]) + "\n"
