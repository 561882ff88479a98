"""A recipe's text with other values: its comments and layout stay where a value can be put in another's place."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from vae_pipeline.recipe.space import changed


def rewritten(text: str, values: Mapping[str, Any], head: Sequence[str]) -> str:
    """The text of a recipe with other values, by their dotted keys, and with `head` for its first comment.

    A text of `head` may have several lines; a sign that YAML doesn't take, or takes for a line's end, is escaped.

    Where a value can't be put in another's place (its key isn't written yet, or is an alias of another one), all of it
    is written anew, without comments.
    """
    wanted = changed(yaml.safe_load(text), values)
    edited = _edited(text, values)
    try:
        same = yaml.safe_load(edited) == wanted
    except yaml.YAMLError:
        same = False
    body = edited if same else yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True, width=120)
    lines = body.splitlines(keepends=True)
    while lines and (lines[0].startswith("#") or not lines[0].strip()):
        del lines[0]
    comment = (f"# {_printable(line)}\n" for each in head for line in each.splitlines())
    return "".join([*comment, *lines])


def _printable(line: str) -> str:
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def _edited(text: str, values: Mapping[str, Any]) -> str:
    spans = sorted(_spans(yaml.compose(text, yaml.SafeLoader), values), reverse=True)
    for start, end, new in spans:
        old = text[start:end]
        text = text[:start] + new + old[len(old.rstrip()) :] + text[end:]  # a text of several lines ends with the last
    return text


def _spans(root: yaml.Node | None, values: Mapping[str, Any]) -> Iterator[tuple[int, int, str]]:
    """The places of the values that stand in the text, with what is to stand there."""
    for key, value in values.items():
        node = root
        for name in key.split("."):
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            node = next((each for known, each in pairs if known.value == name), None)
        if isinstance(node, yaml.ScalarNode) or (isinstance(node, yaml.CollectionNode) and node.flow_style):
            flow = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
            yield node.start_mark.index, node.end_mark.index, flow.removesuffix("\n").removesuffix("\n...").strip()
