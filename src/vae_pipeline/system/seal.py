"""digests.json: the sha256 of every file that a stage wrote into its folder, compared before a later stage reads them.

A flipped bit or a hand's edit would else train or evaluate to other numbers in silence. Its entry of itself is a
digest of all others, since a file whose entry was lost would be compared with nothing.
"""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import content_key, sha256_of, write_json
from vae_pipeline.system.typed_json import read_json

FILE = "digests.json"


def seal(folder: Path) -> None:
    """Write the digests of all files beside it; last of all, since what is written later has none."""
    files = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != FILE)
    digests = {name: sha256_of(folder / name) for name in files}
    write_json(folder / FILE, digests | {FILE: content_key(digests)})


def unsealed(folder: Path, command: str, wanted: Iterable[str] | None = None) -> dict[str, str]:
    """The digests of a folder that `command` filled, once its files, or the `wanted` of them, were found to have them.

    Raises:
        DataError: there are no digests, or a file has another.
    """
    digests = listed(folder, command)
    names = [*digests] if wanted is None else [name for name in wanted if name in digests or (folder / name).exists()]
    with ThreadPoolExecutor() as pool:  # reading and hashing let other threads run
        found = pool.map(lambda name: _digest(folder / name), names)
        for name, given in zip(names, found, strict=True):
            if given != digests.get(name):
                state = "isn't there" if given is None else f"isn't the file that `vae-pipeline {command}` wrote"
                raise DataError(f"{folder / name} {state}: run `vae-pipeline {command}` again")
    return digests


def listed(folder: Path, command: str) -> dict[str, str]:
    """The digests of a folder that `command` filled, whose files may be others or lie elsewhere.

    Raises:
        DataError: there are no digests, or they were altered.
    """
    path = folder / FILE
    try:
        digests: Any = read_json(path)
        if not isinstance(digests, dict) or not all(isinstance(value, str) for value in digests.values()):
            raise ValueError("it isn't a mapping of names to digests")
        for name in digests:
            if not re.fullmatch(r"\w[\w.-]{0,99}", name):
                raise ValueError(f"{name[:60]!r} isn't the name of a file beside it")
        if digests.pop(FILE, None) != content_key(digests):
            raise ValueError("it was altered")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"{path} isn't there, with the digests of the files beside it: run `vae-pipeline {command}` again"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read ({error}): run `vae-pipeline {command}` again") from error
    return digests


def _digest(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None
