"""`--json` prints one object of one shape, whatever the command, and whether it did well or not.

    {"count": 2, "out": null, "error": null, "found": [
    {"example": 0, "negative_elbo": 12.5},
    {"example": 1, "negative_elbo": 14.0}
    ]}

docs/bundle.md says what each command finds.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def print_answer(count: int, out: Path | None = None, found: Iterable[str] = (), error: str | None = None) -> None:
    """Print how many things were made or found, the file that they are in, or the things themselves as objects of JSON.

    They are printed one a line, as they come: there may be millions.
    """
    head = json.dumps({"count": count, "out": None if out is None else str(out), "error": error})
    sys.stdout.write(f'{head[:-1]}, "found": [')
    mark = "\n"
    for each in found:
        sys.stdout.write(mark + each)
        mark = ",\n"
    sys.stdout.write("]}\n" if mark == "\n" else "\n]}\n")


def print_error(error: str, found: Sequence[Mapping[str, object]]) -> None:
    """Print why a command failed, where `--json` was given, and what was found all the same."""
    if "--json" in sys.argv[1:]:
        print_answer(len(found), found=map(json.dumps, found), error=error)
