"""Pictures cut into tiles."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.image.tiles import corners
from vae_pipeline.kinds.parts import ImageSource
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.splitting import split
from vae_pipeline.recipe.data import FolderData
from vae_pipeline.system.errors import DataError

SIZES = [(9, 8), (4, 13), (8, 8), (5, 4)]
PICTURES = [np.random.default_rng(index).integers(0, 256, size, np.uint8) for index, size in enumerate(SIZES)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    return tmp_path


def opened(folder: Path, **options: Any) -> ImageSource:
    plain = {"shape": (1, 4, 4), "resize": "tiles", "labels": "none", "corrupt": "fail", "valid": 0.2, "test": 0.2}
    data = FolderData.model_validate({"kind": "folder", "train": str(folder), **plain, **options})
    return open_source(data, Finder(Path("nowhere")), seed=0)


def test_as_many_tiles_as_fit_lie_in_the_middle() -> None:
    assert corners((9, 13), (4, 4), 0) == [(top, left) for top in (0, 4) for left in (0, 4, 8)]
    assert corners((11, 4), (4, 4), 0) == [(1, 0), (5, 0)]
    assert corners((180, 180), (64, 64), 6) == [(top, left) for top in (0, 58, 116) for left in (0, 58, 116)]
    assert corners((3, 9), (4, 4), 0) == []


@pytest.mark.parametrize("overlap", [0, 2])
def test_tiles_are_parts_of_their_pictures(folder: Path, overlap: int) -> None:
    source = opened(folder, overlap=overlap)
    wanted = [
        picture[top : top + 4, left : left + 4]
        for picture in PICTURES
        for top, left in corners(picture.shape, (4, 4), overlap)
    ]
    rows = source.train.rows
    assert len(rows) == len(wanted)
    np.testing.assert_array_equal(rows[np.arange(len(rows))][:, 0], wanted)
    some = np.array([7, 2, 3, 2])
    np.testing.assert_array_equal(rows[some][:, 0], [wanted[index] for index in some])


@pytest.mark.parametrize("rule", [{}, {"size": "exact"}, {"groups": {"pattern": r"^\d"}}])
def test_all_tiles_of_a_picture_are_of_one_part(folder: Path, rule: dict[str, Any]) -> None:
    source = opened(folder, split=rule)
    parts = split(source, 0)
    assert source.train.names is not None
    pictures = [
        [source.train.names[row] for row in part.indices] for part in parts.values() if part.indices is not None
    ]
    assert sum(len(set(part)) for part in pictures) == len(PICTURES)
    assert sum(map(len, pictures)) == len(source.train.rows)


def test_attributes_and_parts_of_a_picture_are_those_of_its_tiles(folder: Path) -> None:
    (folder / "shown.csv").write_text("file,dark\n0.png,1\n1.png,0\n2.png,1\n3.png,0\n")
    (folder / "parts.csv").write_text("0.png,0\n1.png,1\n2.png,2\n3.png,0\n")
    listed = {"split": {"kind": "listed", "file": str(folder / "parts.csv")}, "valid": None, "test": None}
    source = opened(folder, attributes=str(folder / "shown.csv"), **listed)
    parts = split(source, 0)
    assert [len(part.rows) for part in parts.values()] == [4 + 1, 3, 4]
    found = [part.attributes.ravel().tolist() for part in parts.values() if part.attributes is not None]
    assert found == [[True] * 4 + [False], [False] * 3, [True] * 4]
    np.testing.assert_array_equal(parts["test"].rows[np.array([0])][0, 0], PICTURES[2][:4, :4])


def test_a_picture_smaller_than_a_tile(folder: Path) -> None:
    with pytest.raises(
        DataError, match=r"1\.png is 13x4 pixels, too small for a tile of 5x5: leave it out, or take a "
    ):
        opened(folder, shape=(1, 5, 5), train=str(folder)).train.rows[np.array([0])]
