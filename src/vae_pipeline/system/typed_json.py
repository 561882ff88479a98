"""Files of JSON that may come from anywhere, and frozen dataclasses made of what they hold.

Needs nothing but Python's own library, since `runtime` reads by it.
"""

import json
import math
import types
from collections import Counter
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vae_pipeline.system.files import read_regular

LARGEST = 64 * 2**20  # bytes; a tokenizer of a million words has 40 MB
WHOLE = 2**53  # beyond which a double skips whole numbers
T = TypeVar("T")


def read_json(path: Path) -> Any:
    """The content of a file of JSON.

    Raises:
        OSError: it can't be opened.
        ValueError: it isn't a regular file of a reasonable size, or isn't JSON in which each key stands once and
            each number is finite.
    """
    return parse_json(read_regular(path, LARGEST).decode("utf-8"))


def parse_json(text: str) -> Any:
    """The content of a text in JSON.

    Raises:
        ValueError: it isn't JSON in which each key stands once and each number is finite.
    """
    try:
        return json.loads(text, object_pairs_hook=_mapping, parse_constant=_number, parse_float=_number)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {name!r} is given twice")
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def typed(kind: type[T], values: Any, closed: bool = False) -> T:
    """`values` as a dataclass, every field checked by its annotation.

    A field that the dataclass doesn't know is passed over, or refused where it is `closed`.

    Annotations may be dataclasses, `str`, `int`, `float`, `bool`, `None`, `Literal`, tuples of one type or of a fixed
    length, `dict[str, ...]`, `Any` and unions of these.

    Raises:
        ValueError: a field is missing, unknown or of another type; names it.
    """
    made: T = _typed(kind, values, "", closed)
    return made


def _typed(kind: Any, value: Any, place: str, closed: bool) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind) and not _is_plain(kind, value):
        return _dataclass(kind, value, place, closed)
    if origin in (Union, types.UnionType):
        return _one_of(kind, arguments, value, place, closed)
    if origin is Literal and value in arguments and type(value) in map(type, arguments):
        return value
    if origin is tuple and isinstance(value, list | tuple):
        each = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(each) == len(value):
            pairs = enumerate(zip(each, value, strict=True))
            return tuple(_typed(one, item, f"{place}[{at}]", closed) for at, (one, item) in pairs)
    if origin is dict and isinstance(value, dict):
        return {name: _typed(arguments[1], item, _within(place, name), closed) for name, item in value.items()}
    if _is_plain(kind, value):
        return value
    raise ValueError(f"{place or 'it'} is {_brief(value)}; wanted {_said(kind)}")


def _is_plain(kind: Any, value: Any) -> bool:
    """True if nothing is to be made of the value; a whole number will do for a float, and a boolean for no number."""
    if isinstance(kind, type) and is_dataclass(kind):
        return isinstance(value, kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= WHOLE
    return kind is Any or (kind in (str, bool, types.NoneType) and isinstance(value, kind))


def _dataclass(kind: Any, values: Any, place: str, closed: bool) -> Any:
    if not isinstance(values, dict):
        raise ValueError(f"{place or 'it'} is {_brief(values)}; wanted a mapping")
    for name in values.keys() - {field.name for field in fields(kind)} if closed else ():
        raise ValueError(f"{_within(place, name)} is no field that is known")
    hints, found = get_type_hints(kind), {}
    for field in fields(kind):
        if field.name in values:
            found[field.name] = _typed(hints[field.name], values[field.name], _within(place, field.name), closed)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{_within(place, field.name)} is missing")
    try:
        return kind(**found)
    except ValueError as error:  # what the dataclass itself demands of its fields
        raise ValueError(f"{place}: {error}" if place else str(error)) from error


def _one_of(kind: Any, members: tuple[Any, ...], value: Any, place: str, closed: bool) -> Any:
    if value is None and types.NoneType in members:
        return None
    others = [member for member in members if member is not types.NoneType]
    if len(others) == 1:
        return _typed(others[0], value, place, closed)
    if any(_is_plain(member, value) for member in others):
        return value
    raise ValueError(f"{place or 'it'} is {_brief(value)}; wanted {_said(kind)}")


def _within(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _said(kind: Any) -> str:
    """A type in a reader's words."""
    plain = {
        str: "text",
        int: "a whole number",
        float: "a finite number",
        bool: "true or false",
        types.NoneType: "null",
    }
    if kind in plain:
        return plain[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(map(_said, arguments))
    if origin is tuple:
        return "a list" if arguments[-1] is Ellipsis else f"a list of {len(arguments)}"
    return "a mapping"
