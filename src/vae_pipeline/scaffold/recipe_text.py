"""A recipe as a person reads it: a file of YAML, with the reason beside each choice."""

import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

from vae_pipeline.scaffold.comments import comments
from vae_pipeline.scaffold.looking.found import Found

WIDTH, LONGEST = 100, 140  # of a comment, and of a line that isn't broken
WHOLE = 10_000  # columns: no value is broken


def recipe_text(name: str, found: Found, sections: Mapping[str, Any]) -> str:
    """The file `NAME.yaml`: `about`, the data that were found, and the sections that suit them."""
    about = f"{found.about}; a first attempt, as suggested by `vae-pipeline init`."
    told = comments(found)
    lines = [
        f"# vae-pipeline run pipeline/{name}.yaml        (or dvc repro export@{name}, once params.yaml names {name})",
        "# Every choice may be changed; `vae-pipeline check` then says whether it can be.",
    ]
    for key, value in {"about": about, "data": found.data, **sections}.items():
        lines += _commented(told.get(key), "")
        if not isinstance(value, dict) or not value:
            lines.append(f"{key}: {_flow(value)}")
            continue
        lines.append(f"{key}:")
        for inner, content in value.items():
            lines += [*_commented(told.get(f"{key}.{inner}"), "  "), *_item(inner, content)]
    return "\n".join([*lines, ""])


def _commented(text: str | None, indent: str) -> list[str]:
    return (
        []
        if text is None
        else textwrap.wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
    )


def _item(key: str, value: Any) -> list[str]:
    """A key and its value, in one line where that isn't too long."""
    line = f"  {key}: {_flow(value)}"
    if len(line) <= LONGEST or not isinstance(value, dict):
        return [line]
    return [f"  {key}:", *(f"    {inner}: {_flow(content)}" for inner, content in value.items())]


def _flow(value: Any) -> str:
    """A value in one line."""
    dumped = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=WHOLE, allow_unicode=True)
    return dumped.removesuffix("\n").removesuffix("\n...")
