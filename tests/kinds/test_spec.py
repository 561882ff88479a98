import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vae_pipeline.kinds.spec import ImageSpec, load_spec
from vae_pipeline.system.errors import DataError

SPEC = ImageSpec((3, 4, 5), "float32", -1.0, 1.0, False, ("cat", "Hündin"))


@pytest.mark.parametrize("spec", [SPEC, ImageSpec((1, 2, 2), "uint8", 0, 255, True), replace(SPEC, attributes=("x",))])
def test_round_trip(tmp_path: Path, spec: ImageSpec) -> None:
    spec.save(tmp_path / "spec.json")
    assert load_spec(tmp_path / "spec.json") == spec


def test_dimensions() -> None:
    assert SPEC.event_shape == (3, 4, 5)
    assert SPEC.dimensions == 60


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "sound"}, "reads data of kind 'image', 'audio', 'table' or 'text'; given 'sound'"),
        ({"colour": "red"}, "colour"),
        ({"shape": 3}, "not a data spec"),
        ({"classes": None}, "not a data spec"),
    ],
)
def test_changed_spec(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ImageSpec.from_dict(SPEC.to_dict() | values)


@pytest.mark.parametrize("name", ["shape", "dtype", "low", "binary"])
def test_missing_field(name: str) -> None:
    values = SPEC.to_dict()
    del values[name]
    with pytest.raises(DataError, match=f"not a data spec .*{name}.*: run `vae-pipeline prepare` again"):
        ImageSpec.from_dict(values)


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="isn't there: run `vae-pipeline prepare` first"):
        load_spec(tmp_path / "spec.json")


def test_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(DataError, match="isn't there: run `vae-pipeline prepare` first"):
        load_spec(tmp_path / "data" / "spec.json")


@pytest.mark.parametrize("content", [b"", json.dumps(SPEC.to_dict()).encode()[:-9], b"\xff\xfe"])
def test_truncated_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "spec.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"spec\.json can't be read as JSON"):
        load_spec(path)


@pytest.mark.parametrize("content", ["[]", "3", "null"])
def test_other_json(tmp_path: Path, content: str) -> None:
    path = tmp_path / "spec.json"
    path.write_text(content)
    with pytest.raises(DataError, match="not a data spec"):
        load_spec(path)
