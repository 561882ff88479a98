"""The formats of bundle.json: the one that is written today, and how an older one is brought to it.

A field that is added has a meaning where it is absent, and needs no format of its own. A change after which an older
reader would go wrong makes a new format, and one more entry of `UPGRADES`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vae_pipeline.system.errors import BundleError

Values = dict[str, Any]
FORMAT = 3


def _without_detector(values: Values) -> Values:
    """Bundles had no detector before format 3."""
    return {**values, "detection": None}


UPGRADES: dict[int, Callable[[Values], Values]] = {2: _without_detector}
"""The step from each older format that is read to the one after it."""
READ = (*UPGRADES, FORMAT)


def upgraded(values: Values, folder: Path) -> Values:
    """The content of a folder's bundle.json as today's format says it.

    Raises:
        BundleError: it is of a format that isn't read.
    """
    written = values.get("format")
    if not isinstance(written, int):  # which `Manifest` refuses, and says why
        return values
    if written not in READ:
        todo = "update vae-pipeline" if written > FORMAT else "export again"
        formats = " and ".join(map(str, READ))
        raise BundleError(f"{folder} has bundle format {written}, this version reads {formats}: {todo}")
    for number in range(written, FORMAT):
        values = UPGRADES[number](values)
    return {**values, "format": FORMAT}
