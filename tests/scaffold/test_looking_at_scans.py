"""Scans and MedMNIST's files are known by what they hold; the recipe tells no patient's name."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.data import get_testdata_file
from tests.kinds.image.test_folder import as_tar
from tests.kinds.image.test_medmnist import arrays
from tests.kinds.image.test_scans import IDENTITY, made
from tests.scaffold.test_looking import begun, opened, said

from vae_pipeline.scaffold.looking import found as found_module
from vae_pipeline.system.errors import DataError


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(found_module, "LEAST", 10)


def scans(place, count=12, **fields):
    for index in range(count):
        where = place(index) if callable(place) else place
        made(Path(where) / f"Curie{index}", index, PatientID=f"{IDENTITY}-{index // 2}", **fields)


def test_dicom_files_without_a_suffix_are_known_and_their_folders_are_classes():
    scans(lambda index: f"d/{'ab'[index // 2 % 2]}")
    found = begun("d", conditional=True)
    data = found.recipe.data
    assert (data.kind, data.shape, data.resize, data.window) == ("scans", (1, 64, 64), "none", None)
    assert (data.labels, data.patients) == ("folders", "tag")
    assert "6 patients" in said(found) and "Curie" not in said(found) and IDENTITY not in found.path.read_text()
    assert "DICOM's PatientID" in found.path.read_text()
    assert opened(found).classes == ("a", "b")


def test_folders_that_are_patients_are_no_classes_and_are_not_told():
    scans(lambda index: f"d/Curie {index // 2}", Modality="CT")
    found = begun("d")
    assert found.recipe.data.labels == "none" and found.recipe.data.window.width == 400
    assert "6 folders aren't taken for classes" in said(found) and "Curie" not in said(found)
    opened(found)


def test_nifti_files_are_known_and_each_is_taken_for_a_patient():
    Path("d").mkdir()
    for index in range(5):
        volume = np.random.default_rng(index).integers(0, 99, (10, 12, 4), np.int16)
        nibabel.Nifti1Image(volume, np.eye(4)).to_filename(f"d/{index}.nii.gz")
    found = begun("d")
    assert (found.recipe.data.shape, found.recipe.data.patients) == ((1, 12, 10), "file")
    assert "headers name no patient" in said(found)
    assert len(opened(found).train.rows) == 20


def test_colours_and_greys_in_one_place_are_refused():
    scans("d", 11)
    Path("d/colour.dcm").write_bytes(Path(get_testdata_file("SC_rgb_rle.dcm", download=False)).read_bytes())
    with pytest.raises(DataError, match="1 scans in colour and 11 in greys"):
        begun("d")


def test_a_file_of_medmnist_keeps_its_parts():
    np.savez("xmnist.npz", **arrays(8, 8, 3))
    found = begun("xmnist.npz", conditional=True)
    data = found.recipe.data
    assert (data.kind, data.file.path, data.split.duplicates) == ("medmnist", "xmnist.npz", "drop")
    source = opened(found)
    assert (source.shape, len(source.train.rows), len(source.test.rows)) == ((3, 8, 8), 6, 4)


def test_scans_in_shards_are_known():
    scans("d")
    Path("shards").mkdir()
    files = sorted(Path("d").iterdir())
    for shard in range(3):
        as_tar(Path(f"shards/{shard}.tar"), {f"x/{path.name}": path.read_bytes() for path in files[shard::3]})
    found = begun("shards")
    assert (found.recipe.data.kind, found.recipe.data.patients) == ("scans", "tag")
    assert "12 images of 12 scans" in said(found) and "Curie" not in said(found)
    assert len(opened(found).train.rows) == 12


def test_shards_that_hold_a_name_twice_are_refused_without_it():
    scans("d")
    Path("shards").mkdir()
    for shard in "ab":
        as_tar(Path(f"shards/{shard}.tar"), {path.name: path.read_bytes() for path in Path("d").iterdir()})
    with pytest.raises(DataError, match="shards") as refused:
        begun("shards")
    assert "Curie" not in str(refused.value)
