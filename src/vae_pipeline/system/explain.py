"""One line that says what is wrong with a recipe: the key, what was given, what is valid."""

import difflib
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError


def explain(cls: type[BaseModel], error: ValidationError) -> str:
    """Name all problems, the one that matters most first, in the words of somebody who writes recipes."""
    # Where there is a choice of types (a fraction, or files) each is an error of its own: the one that lies deepest is
    # about the type that was meant; of a section with an unknown kind, that kind says more than that it is no word.
    problems = sorted(
        error.errors(),
        key=lambda problem: (
            problem["type"] == "extra_forbidden",
            len(problem["loc"]),
            problem["type"].startswith("union_tag"),
        ),
        reverse=True,
    )
    found: dict[str, str] = {}
    meant: set[str] = set()  # a misspelt key is missing under its right name too
    for problem in problems:
        key, section_keys = _locate(cls, problem["loc"], problem["type"] == "extra_forbidden")
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(problem["loc"][-1]), section_keys, n=1)
            meant.update(".".join([*key.split(".")[:-1], name]) for name in near)
            hint = f"did you mean {near[0]}? " if near else ""
            found.setdefault(key, f"unknown key; {hint}valid keys: {', '.join(section_keys)}")
        elif not any(key == name or name.startswith(f"{key}.") for name in (*meant, *found)):
            found[key] = _said(problem, key)
    return "; ".join(f"{key}: {text}" if key else text for key, text in found.items())


def _said(problem: Mapping[str, Any], key: str) -> str:
    """Say what is wrong with a key that is known."""
    match problem["type"]:
        case "missing" if isinstance(problem["loc"][-1], int):
            return f"it has too few values; given {brief(problem['input'])}"
        case "missing":
            return "this key is missing"
        case "union_tag_invalid":
            return f"unknown kind {problem['ctx']['tag']!r}; valid kinds: {problem['ctx']['expected_tags']}"
        case "union_tag_not_found":
            return "the key kind is missing"
        case _:
            message = str(problem["msg"]).removeprefix("Value error, ")
            return f"{message[0].lower()}{message[1:]}; given {brief(problem['input'])}" if key else message


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
