"""What is wrong with a recipe, in one line: the key, what was given, what is valid."""

import difflib
import typing
from typing import Any

from pydantic import BaseModel, ValidationError


def explain(cls: type[BaseModel], error: ValidationError) -> str:
    """The problem that matters most, in the words of somebody who writes recipes."""
    problems = error.errors()
    # A misspelt key is missing under its right name too, and where there is a choice of types (a fraction, or
    # files) each is an error of its own: the one that lies deepest is about the type that was meant.
    first = max(problems, key=lambda problem: (problem["type"] == "extra_forbidden", len(problem["loc"])))
    kind = first["type"]
    key, section_keys = _locate(cls, first["loc"], kind == "extra_forbidden")
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), section_keys, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        text = f"unknown key; {hint}valid keys: {', '.join(section_keys)}"
    elif kind == "missing" and isinstance(first["loc"][-1], int):
        text = f"it has too few values; given {brief(first['input'])}"
    elif kind == "missing":
        text = "this key is missing"
    elif kind == "union_tag_invalid":
        context = first["ctx"]
        text = f"unknown kind {context['tag']!r}; valid kinds: {context['expected_tags']}"
    elif kind == "union_tag_not_found":
        text = "the key kind is missing"
    else:
        message = first["msg"].removeprefix("Value error, ")
        text = f"{message[0].lower()}{message[1:]}; given {brief(first['input'])}" if key else message
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{key}: {text}{more}" if key else text + more


def _locate(cls: type[BaseModel], location: tuple[int | str, ...], unknown: bool) -> tuple[str, list[str]]:
    """The dotted key that `location` means to a reader, and the valid keys of the section that it is in.

    pydantic's location also names the members of unions that it tried; a reader doesn't write those. `unknown`
    says that the last part is a key that the reader wrote and no section has.
    """
    parts, sections, around = [], [cls], [cls]
    for index, part in enumerate(location):
        fields = [section.model_fields[str(part)] for section in sections if part in section.model_fields]
        members = [section for section in sections if part in (_kind_of(section), section.__name__)]
        if unknown and index == len(location) - 1:
            parts.append(str(part))
            around = sections
        elif fields:
            parts.append(str(part))
            around, sections = sections, [m for field in fields for m in _members(field.annotation)]
        elif members:
            sections = members
        elif str(part).isidentifier() and part not in ("float", "int", "str"):
            parts.append(str(part))
            around = sections
    return ".".join(parts), [name for section in around for name in section.model_fields]


def _members(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [member for part in typing.get_args(annotation) for member in _members(part)]


def _kind_of(section: type[BaseModel]) -> str | None:
    field = section.model_fields.get("kind")
    return str(typing.get_args(field.annotation)[0]) if field else None


def brief(value: Any) -> str:
    """A value as it may stand in a sentence."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
