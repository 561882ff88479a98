"""Names of rows, by a pattern that a row's path or text matches."""

import re
from collections.abc import Iterable

from vae_pipeline.system.errors import DataError


def named(texts: Iterable[str], wanted: str, key: str = "data.split.groups.pattern") -> list[str]:
    """The first group of a pattern in each text, or all that it matches there; `key` is its place in a recipe.

    Raises:
        DataError: a text doesn't match.
    """
    pattern = re.compile(wanted)
    found = []
    for text in texts:
        match = pattern.search(text)
        if match is None:
            raise DataError(f"{text[:80]!r} has no match of {key} {wanted!r}: widen it")
        found.append(match.group(1 if pattern.groups else 0) or "")
    return found
