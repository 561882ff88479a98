"""Groups of rows, by a pattern that a row's name or text matches."""

import re
from collections.abc import Iterable

from vae_pipeline.recipe.split import Groups
from vae_pipeline.system.errors import DataError


def named(texts: Iterable[str], groups: Groups) -> list[str]:
    """The first group of the pattern in each text, or all that it matches there.

    Raises:
        DataError: a text doesn't match.
    """
    assert groups.pattern is not None  # a recipe says so
    pattern = re.compile(groups.pattern)
    found = []
    for text in texts:
        match = pattern.search(text)
        if match is None:
            raise DataError(f"{text[:80]!r} has no match of data.split.groups.pattern {groups.pattern!r}: widen it")
        found.append(match.group(1 if pattern.groups else 0) or "")
    return found
