"""DataSpec: what `prepare` found out about the data, and all that a model must know of it.

Plain dataclasses, one module a kind of observation, so that an exported bundle can be used where only numpy and
onnxruntime are installed.
"""

from pathlib import Path
from typing import Any

from vae_pipeline.kinds.image.spec import ImageSpec, within
from vae_pipeline.kinds.table.spec import ANOMALIES, CLIP, Column, ColumnKind, TableSpec
from vae_pipeline.kinds.text.spec import TextSpec
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.typed_json import read_json

__all__ = [
    "ANOMALIES", "CLIP", "Column", "ColumnKind", "DataSpec", "ImageSpec", "TableSpec", "TextSpec", "load_spec",
    "spec_of", "within",
]  # fmt: skip

DataSpec = ImageSpec | TableSpec | TextSpec
"""Observations on disk, and where they come from."""


def spec_of(values: dict[str, Any]) -> DataSpec:
    """A spec from what its `to_dict` gave.

    Raises:
        DataError: a field is missing, unknown or of another kind.
    """
    kind = values.get("kind") if isinstance(values, dict) else None
    match kind:
        case "table":
            return TableSpec.from_dict(values)
        case "text":
            return TextSpec.from_dict(values)
        case _:
            return ImageSpec.from_dict(values)


def load_spec(path: Path) -> DataSpec:
    """Read what `save` wrote.

    Raises:
        DataError: there is no such file, or it isn't a spec.
    """
    try:
        values = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{path} isn't there: run `vae-pipeline prepare` first") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read as JSON ({error}): run `vae-pipeline prepare` again") from error
    try:
        return spec_of(values)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
