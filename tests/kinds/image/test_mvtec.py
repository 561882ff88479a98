"""Pictures in the layout of MVTec AD."""

import numpy as np
import pytest
from pydantic import ValidationError
from tests.kinds.image.test_defects import mask, prepare
from tests.kinds.image.test_folder import as_folder, as_tar, png

from vae_pipeline.recipe.data import FolderData, has_labels, told
from vae_pipeline.system.errors import DataError


def picture(shade: int, side: int = 8) -> bytes:
    return png(np.full((side, side), shade, np.uint8))


def leather() -> dict[str, bytes]:
    """Ten flawless pictures to train on, two to test on, two with cuts and one with glue, in a folder of the object."""
    files = {f"leather/train/good/{index:03}.png": picture(index) for index in range(10)}
    files |= {f"leather/test/good/{index:03}.png": picture(20 + index) for index in range(2)}
    for kind, count in (("cut", 2), ("glue", 1)):
        files |= {f"leather/test/{kind}/{index:03}.png": picture(50 + index) for index in range(count)}
        files |= {f"leather/ground_truth/{kind}/{index:03}_mask.png": mask(index) for index in range(count)}
    return files


def data(place, **options) -> FolderData:
    plain = {"shape": (1, 8, 8), "resize": "none", "corrupt": "fail", "valid": 0.2, "labels": {"kind": "mvtec"}}
    return FolderData.model_validate({"kind": "folder", "train": str(place), **plain, **options})


@pytest.mark.parametrize("pack", [as_folder, as_tar])
def test_each_part_has_its_pictures_and_each_defect_its_mask(pack, tmp_path):
    files = leather() | {"leather/readme/page.png": picture(0)}
    prepared = prepare(data(pack(tmp_path / "set", files)), tmp_path / "data")
    assert prepared.spec.classes == ("good", "cut", "glue") and prepared.tells_anomalies
    shades = {part: sorted(getattr(prepared, part).x[:][:, 0, 0, 0].tolist()) for part in ("train", "valid", "test")}
    assert sorted(shades["train"] + shades["valid"]) == list(range(10)) and shades["valid"]
    assert shades["test"] == [20, 21, 50, 50, 51]
    assert not prepared.train.labels.any() and not prepared.valid.labels.any()
    for shade, label, found in zip(
        prepared.test.x[:][:, 0, 0, 0], prepared.test.labels, prepared.test.masks[:], strict=True
    ):
        wanted = np.zeros((8, 8), np.uint8)
        if label:
            wanted[shade - 50, 1:3] = 1
        assert found.tolist() == wanted.tolist()
    assert prepared.card["dropped"] == {"picture outside train/good, test and ground_truth": 1}


def test_in_tiles_those_beside_a_defect_are_flawless(tmp_path):
    files = {
        name: png(np.kron(np.ones((2, 2)), np.eye(4)).astype(np.uint8)) for name in leather() if "mask" not in name
    }
    files |= {name: content for name, content in leather().items() if "mask" in name}
    prepared = prepare(data(as_folder(tmp_path / "set", files), shape=(1, 4, 4), resize="tiles"), tmp_path / "data")
    assert len(prepared.train) + len(prepared.valid) == 4 * 10 and len(prepared.test) == 4 * 5
    assert len(prepared.valid) % 4 == 0  # all tiles of a picture are of one part
    assert np.bincount(prepared.test.labels).tolist() == [17, 2, 1]
    assert (prepared.test.labels > 0).tolist() == prepared.test.masks[:].any(axis=(1, 2)).tolist()


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda files: files.pop("leather/ground_truth/cut/001_mask.png"), {},
         r"test/cut/001\.png shows a defect, and has no mask ground_truth/cut/001_mask\.png: add it"),
        (lambda files: [files.pop(name) for name in list(files) if "/train/" in name], {},
         r"no picture in train/good, as .* its folders are ground_truth/cut, ground_truth/glue, test/cut"),
        (lambda files: [files.pop(name) for name in list(files) if "cut" in name or "glue" in name], {},
         "no picture in test/KIND, with a kind of defect"),
        (lambda files: files.update({"leather/ground_truth/glue/000_mask.png": mask(0)[:50]}), {}, "000_mask"),
        (lambda files: files.update({"carpet/train/good/0.png": picture(0)}), {}, "name the folder of one object"),
    ],
)  # fmt: skip
def test_what_is_laid_out_otherwise_is_refused(change, options, message, tmp_path):
    files = leather()
    change(files)
    with pytest.raises(DataError, match=message):
        prepare(data(as_folder(tmp_path / "set", files), **options), tmp_path / "data")


def test_without_masks_none_is_sought(tmp_path):
    files = {name: content for name, content in leather().items() if "ground_truth" not in name}
    section = data(as_folder(tmp_path / "set", files), labels={"kind": "mvtec", "masks": "none"})
    assert told(section) == {"anomalies"} and not has_labels(section)
    prepared = prepare(section, tmp_path / "data")
    assert prepared.test.masks is None and prepared.test.labels.max() == 2
    assert told(data("set")) == {"anomalies", "masks"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": 0.2}, "give valid as a fraction of train/good, and leave out test"),
        ({"valid": "set/valid"}, "give valid as a fraction"),
        ({"split": {"kind": "listed", "file": "parts"}, "valid": None}, "leave out test and a split of kind listed"),
        ({"attributes": "list"}, "attributes are of labelled pictures"),
        ({"resize": "tiles", "labels": {"kind": "mvtec", "masks": "none"}}, "asks masks which tiles show a defect"),
    ],
)
def test_what_doesnt_go_with_the_layout_is_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        data("set", **options)
