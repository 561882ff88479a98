"""Scans that a model is given have the values of those that it was trained on, and no name of theirs goes anywhere."""

import dataclasses
import gzip
import shutil
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from nibabel.testing import data_path
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from tests.kinds.image.test_scans import IDENTITY, NAME, made, section, ward

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.image.spec import ImageSpec
from vae_pipeline.kinds.image.synthetic_files import write_synthetic_images
from vae_pipeline.kinds.image.whole import whole_pictures
from vae_pipeline.kinds.observations import Examples, read_observations
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.spec import load_spec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.system.errors import CorruptFileError, DataError


def prepared(train, folder, **changes):
    write(open_source(section(train, **changes), Finder(folder), 0), folder, 0)
    return Prepared.open(folder)


def everything(data):
    """All rows of prepared data, in an order of their own."""
    return ordered(np.concatenate([part.x[:] for part in (data.train, data.valid, data.test)]))


def ordered(x):
    flat = x.reshape(len(x), -1)
    return flat[np.lexsort(flat.T[::-1])]


@pytest.mark.parametrize("changes", [
    {},
    {"window": {"level": 1000, "width": 1500}},
    {"window": "stored"},
    {"shape": [1, 24, 32], "resize": "pad"},
    {"shape": [1, 32, 32], "resize": "crop"},
])  # fmt: skip
def test_a_scan_has_the_values_that_prepare_gave_it(changes, tmp_path):
    source = ward(tmp_path / "scans")
    (tmp_path / "data").mkdir()
    data = prepared(source, tmp_path / "data", **changes)
    found = read_observations([source], load_spec(tmp_path / "data" / "spec.json"), None, "none")
    np.testing.assert_array_equal(ordered(found), everything(data))


def test_slices_of_volumes_are_those_that_were_chosen(tmp_path):
    for patient in range(6):
        values = np.random.default_rng(patient).normal(size=(9, 8, 10)).astype(np.float32)
        place = tmp_path / "scans" / f"Curie_{patient}.nii.gz"
        place.parent.mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(values, np.diag([1, -1, 1, 1])), place)
    chosen = {"plane": "sagittal", "first": 0.3, "last": 0.7}
    (tmp_path / "data").mkdir()
    data = prepared(tmp_path / "scans", tmp_path / "data", shape=[1, 10, 8], patients="file", slices=chosen)
    found = Examples([tmp_path / "scans"], data.spec, None, "none").all()
    np.testing.assert_array_equal(ordered(found.x), everything(data))
    assert len(set(found.files)) == 6 and set(found.rows) == set(range(len(found.x) // 6))


def test_values_are_pydicoms(tmp_path):
    ct = tmp_path / "CT_small.dcm"
    shutil.copyfile(get_testdata_file("CT_small.dcm", download=False), ct)
    header = pydicom.dcmread(ct)
    reading = {"windowed": False, "plane": "axial", "first": 0.0, "last": 1.0, "resize": "none"}
    spec = ImageSpec.from_dict({
        **ImageSpec((1, 128, 128), "float32", -200, 300, False).to_dict(), "scans": reading
    })  # fmt: skip
    units = apply_modality_lut(header.pixel_array, header)
    found = read_observations([ct], spec, None, "none")[0, 0]
    np.testing.assert_array_equal(found, units.clip(-200, 300).astype(np.float32))
    header.WindowCenter, header.WindowWidth = 40, 400
    header.save_as(ct)
    stored = dataclasses.replace(spec, low=0.0, high=1.0, scans=dataclasses.replace(spec.scans, windowed=True))
    shown = apply_voi_lut(units, header).astype(np.float64)
    found = read_observations([ct], stored, None, "none")[0, 0]
    np.testing.assert_allclose(found, (shown - shown.min()) / (shown.max() - shown.min()), atol=1e-6)


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    """The spec of scans of 64 x 64 in [0, 4095]."""
    base = tmp_path_factory.mktemp("of_scans")
    (base / "data").mkdir()
    return prepared(ward(base / "scans"), base / "data", window={"level": 2047.5, "width": 4095}).spec


def names_in(examples):
    return [text for text in (NAME, IDENTITY, "Curie") if text in " ".join(map(str, examples.files))]


def test_no_name_of_a_file_or_a_patient_is_told(spec, tmp_path):
    files = [made(tmp_path / f"Curie_{at}.dcm", at) for at in range(3)]
    singly = Examples(files, spec, None, "none").all()
    assert singly.files == ["input_1", "input_2", "input_3"]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in files:
            archive.write(file, f"Curie^Marie/{file.name}")
    together = Examples([tmp_path / "all.zip"], spec, None, "none").all()
    np.testing.assert_array_equal(together.x, singly.x)
    assert together.files[2] == "input_1/scan_3"
    assert names_in(singly) == names_in(together) == []
    pictures = list(whole_pictures([tmp_path / "all.zip"], spec))
    assert [each.place.name for each in pictures] == ["scan_1", "scan_2", "scan_3"]
    np.testing.assert_array_equal(np.stack([each.read() for each in pictures]), singly.x)


def refused(paths, spec, error=DataError):
    with pytest.raises(error) as told:
        read_observations(paths, spec, None, "none")
    assert not any(text in str(told.value) for text in (NAME, IDENTITY, "Curie")), told.value
    return str(told.value)


def test_what_the_model_cannot_take_is_refused_without_a_name(spec, tmp_path):
    whole = made(tmp_path / "Curie.dcm")
    plain = ImageSpec((1, 64, 64), "uint8", 0, 255, False)
    assert "weren't read from scans" in refused([whole], plain)
    assert "BurnedInAnnotation" in refused([made(tmp_path / "Curie_b.dcm", BurnedInAnnotation="YES")], spec)
    (tmp_path / "Curie_c.dcm").write_bytes(whole.read_bytes()[:4000])
    assert "input 2 " in refused([whole, tmp_path / "Curie_c.dcm"], spec, CorruptFileError)
    colours = Path(get_testdata_file("SC_rgb_rle_2frame.dcm", download=False))
    shutil.copyfile(colours, tmp_path / "Curie_d.dcm")
    assert "holds colours" in refused([tmp_path / "Curie_d.dcm"], spec)
    volume = gzip.compress((Path(data_path) / "anatomical.nii").read_bytes())
    (tmp_path / "Curie_e.nii.gz").write_bytes(volume)
    assert "resize" in refused([tmp_path / "Curie_e.nii.gz"], spec)
    windowed = dataclasses.replace(spec, scans=dataclasses.replace(spec.scans, windowed=True))
    assert "stores no window" in refused([tmp_path / "Curie_e.nii.gz"], windowed)


def test_a_scan_that_is_broken_is_marked_among_others(spec, tmp_path):
    files = [made(tmp_path / f"Curie_{at}.dcm", at) for at in range(3)]
    files[1].write_bytes(files[1].read_bytes()[:4000])
    found = Examples([tmp_path], spec, None, "none", on_error="skip").all()
    assert found.usable.tolist() == [0, 2] and "scan 2 of 3" in found.faults[1] and names_in(found) == []


@pytest.mark.parametrize("of", [
    ImageSpec((1, 7, 9), "uint8", 0, 255, False),
    ImageSpec((1, 7, 9), "float32", -1000, 1000, False),
    ImageSpec((3, 7, 9), "uint8", 0, 255, False),
])  # fmt: skip
def test_dicom_that_augment_wrote_comes_back_in_the_datas_units(of, tmp_path):
    x = np.random.default_rng(0).uniform(of.low, of.high, (5, *of.shape))
    x = np.rint(x).astype(of.dtype) if of.dtype == "uint8" else x.astype(of.dtype)
    origin = {
        "producer": "vae-pipeline 0",
        "of": "it",
        "bundle_sha256": "",
        "weights_sha256": "",
        "how": "prior",
        "seed": 0,
    }
    write_synthetic_images(tmp_path, [(x, {})], len(x), of, "dicom", origin)
    found = read_observations([tmp_path], of, None, "none")
    np.testing.assert_allclose(found, x, atol=0 if of.dtype == "uint8" else 2000 / 65535)


def test_pictures_are_taken_beside_where_there_are_no_scans(spec, tmp_path):
    from PIL import Image

    Image.fromarray(np.full((64, 64), 51, np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_observations([tmp_path], spec, None, "none"), 819, rtol=1e-6)
