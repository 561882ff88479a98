"""Names of files in a bundle, which may come from anywhere."""

import re
from pathlib import PurePosixPath


def require_inside(*names: str) -> None:
    """Refuse the name of a file that doesn't lie in the bundle's folder.

    Raises:
        ValueError: it is one.
    """
    for name in names:
        path = PurePosixPath(name)
        if not re.fullmatch(r"[\w .-]+(/[\w .-]+)*", name) or path.is_absolute() or ".." in path.parts:
            raise ValueError(f"the name {name[:60]!r} leads out of the bundle, or is none of a file")
