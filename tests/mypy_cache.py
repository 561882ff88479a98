"""What mypy learned of the libraries in `make check`, so that a test doesn't wait for it to read them again."""

import shutil
from pathlib import Path

from tests.lanes import ROOT


def mypy_cache(folder: Path) -> str:
    """A copy in this folder of the repository's cache, or an empty one: mypy looks at every source's digest."""
    kept, copied = ROOT / ".mypy_cache", folder / "cache"
    if kept.is_dir():
        shutil.copytree(kept, copied)
    return str(copied)
