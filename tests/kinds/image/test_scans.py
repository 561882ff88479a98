"""Scans hold the values that pydicom and nibabel find in them; patients are in one part each, and nowhere else."""

import gzip
import shutil
import warnings
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from nibabel.testing import data_path
from pydantic import ValidationError
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, apply_windowing, pixel_array

from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.image.scans import libraries
from vae_pipeline.kinds.image.scans import nifti as nifti_module
from vae_pipeline.kinds.image.scans.reading import decoded_of
from vae_pipeline.kinds.parts import Part
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.splitting import split
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.writing import write
from vae_pipeline.recipe.data import ScansData
from vae_pipeline.system.errors import CorruptFileError, DataError, MissingError, VaeError
from vae_pipeline.system.files import filled_folder

NAME, IDENTITY = "Curie^Marie", "PAT-1867"
SAMPLES = Path(pydicom.data.__file__).parent / "test_files"
VOLUMES = Path(data_path)


def section(train, **changes):
    values = {"kind": "scans", "shape": [1, 64, 64], "resize": "none", "window": None, "labels": "none"}
    values |= {"patients": "tag", "corrupt": "fail", "train": str(train), "valid": 0.2, "test": 0.2}
    return ScansData.model_validate(values | {"split": {"size": "exact"}} | changes)


def opened(train, **changes):
    return open_source(section(train, **changes), Finder(Path()), 0)


def images(part):
    assert isinstance(part, Part)
    return part.rows[np.arange(len(part.rows))]


def decoded(name, **changes):
    path = Path(get_testdata_file(name, download=False))
    return decoded_of(path.read_bytes(), path.name, "it", section("d", **changes))


def made(path, seed=0, pixels=None, name="MR_small.dcm", **fields):
    """Save a scan of a patient whose name and id are planted."""
    scan = pydicom.dcmread(get_testdata_file(name, download=False))
    scan.PatientName, scan.PatientID = NAME, IDENTITY
    if pixels is None:
        pixels = np.random.default_rng(seed).integers(0, 4096, (scan.Rows, scan.Columns))
    scan.PixelData = np.asarray(pixels, "<i2").tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are made to be wrong
        for field, value in fields.items():
            setattr(scan, field, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    scan.save_as(path)
    return path


def ward(folder, patients=6, each=2):
    """Scans of some patients, in folders by what they have and in files by their names."""
    for index in range(patients * each):
        patient = index // each
        place = folder / ("ill", "well")[patient % 2] / f"Curie_{patient}_{index}.dcm"
        made(place, index, PatientID=f"{IDENTITY}-{patient}")
    return folder


def tables(folder, rows, columns="file,who,finding"):
    path = folder / "scans.csv"
    path.write_text("\n".join([columns, *rows]))
    return str(path)


# Values


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "image_dfl.dcm", "JPEG2000.dcm", "rtdose.dcm"])
def test_greys_are_what_pydicom_rescales(name):
    scan = pydicom.dcmread(get_testdata_file(name, download=False))
    expected = apply_modality_lut(pixel_array(scan), scan)
    assert np.array_equal(decoded(name).images, expected.reshape(-1, scan.Rows, scan.Columns))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_stored_window_shows_what_pydicom_shows(function, tmp_path):
    path = made(tmp_path / "a.dcm", WindowCenter=[900.0, 1.0], WindowWidth=[700.0, 2.0], VOILUTFunction=function)
    scan = pydicom.dcmread(path)
    expected = apply_voi_lut(apply_modality_lut(scan.pixel_array, scan), scan)  # MR_small is signed, of 16 bits
    shown = decoded_of(path.read_bytes(), "a.dcm", "it", section("d", window="stored")).images[0]
    np.testing.assert_allclose(shown, (expected + 2**15) / (2**16 - 1), atol=1e-9)
    assert shown.min() < 0.01 and shown.max() > 0.99


def test_a_stored_table_shows_what_pydicom_shows(tmp_path):
    item = pydicom.Dataset()
    item.LUTDescriptor, item.LUTData = [4096, 0, 12], (np.arange(4096, dtype=np.uint16) ** 2 // 4096).tolist()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "US"
    path = made(tmp_path / "a.dcm", VOILUTSequence=[item], PixelRepresentation=0)
    scan = pydicom.dcmread(path)
    shown = decoded_of(path.read_bytes(), "a.dcm", "it", section("d", window="stored")).images[0]
    assert np.array_equal(shown, apply_voi_lut(scan.pixel_array, scan) / 4095)


def test_a_window_of_all_scans_keeps_units_and_bits_and_turns_monochrome1_around(tmp_path):
    made(tmp_path / "a" / "1.dcm", 1, RescaleSlope=2, RescaleIntercept=-1024)
    made(tmp_path / "a" / "2.dcm", 2, PhotometricInterpretation="MONOCHROME1")
    source = opened(tmp_path / "a", window={"level": 1000, "width": 800}, patients="file")
    assert (source.dtype, source.low, source.high) == ("float32", 600, 1400)
    first, second = images(source.train)[:, 0]
    for values, name in ((first, "1.dcm"), (1.0 * source.low + source.high - second, "2.dcm")):
        scan = pydicom.dcmread(tmp_path / "a" / name)
        scan.PhotometricInterpretation, scan.VOILUTFunction = "MONOCHROME2", "LINEAR_EXACT"
        scan.WindowCenter, scan.WindowWidth = 1000, 800
        expected = apply_windowing(apply_modality_lut(scan.pixel_array, scan), scan)
        edges = expected.min(), expected.max()
        np.testing.assert_allclose((values - 600) / 800, (expected - edges[0]) / (edges[1] - edges[0]), atol=1e-7)
    assert len(np.unique(second)) > 256


def test_frames_have_fields_of_their_own(tmp_path):
    both = np.stack([np.full((64, 64), 10), np.full((64, 64), 10)])
    shared, own = pydicom.Dataset(), pydicom.Dataset()
    for group, slope in ((shared, 2), (own, 5)):
        group.PixelValueTransformationSequence = [pydicom.Dataset()]
        group.PixelValueTransformationSequence[0].RescaleSlope = slope
        group.PixelValueTransformationSequence[0].RescaleIntercept = 1
    fields = {"SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": [pydicom.Dataset(), own]}
    path = made(tmp_path / "a.dcm", pixels=both, NumberOfFrames=2, **fields)
    found = decoded_of(path.read_bytes(), "a.dcm", "it", section("d")).images
    assert [float(frame.mean()) for frame in found] == [21, 51]


@pytest.mark.parametrize("name", ["SC_rgb_rle_2frame.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_jpeg_dcmtk.dcm"])
def test_colours_are_pydicoms_rgb(name):
    scan = pydicom.dcmread(get_testdata_file(name, download=False))
    found = decoded(name, shape=[3, 64, 64]).images
    assert np.array_equal(found, pixel_array(scan).reshape(found.shape)) and found.dtype == np.uint8


def test_colours_of_a_palette_and_of_16_bits_keep_their_upper_bits():
    scan = pydicom.dcmread(get_testdata_file("examples_palette.dcm", download=False))
    expected = apply_color_lut(scan.pixel_array, scan) >> 8
    assert np.array_equal(decoded("examples_palette.dcm", shape=[3, 64, 64]).images[0], expected)
    wide, narrow = (decoded(f"SC_rgb_rle{bits}.dcm", shape=[3, 64, 64]).images for bits in ("_16bit", ""))
    assert np.array_equal(wide, narrow)


@pytest.mark.parametrize(("plane", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
@pytest.mark.parametrize("name", ["anatomical.nii", "standard.nii.gz", "reoriented_anat_moved.nii"])
def test_slices_are_what_nibabel_scales_with_the_head_or_the_front_above(name, plane, axis):
    volume = nibabel.as_closest_canonical(nibabel.load(VOLUMES / name)).get_fdata().squeeze()
    data = section("d", slices={"plane": plane})
    found = decoded_of((VOLUMES / name).read_bytes(), name, "it", data)
    assert np.array_equal(found.images, [np.rot90(each) for each in np.moveaxis(volume, axis, 0)])
    middle = decoded_of(
        (VOLUMES / name).read_bytes(), name, "it", section("d", slices={"plane": plane, "first": 0.5, "last": 0.5})
    )
    count = len(found.images)
    assert np.array_equal(middle.images, found.images[count // 2 : count // 2 + 1])


def test_an_image_of_another_size_is_brought_to_it_and_stays_in_range(tmp_path):
    for index in range(3):
        made(tmp_path / "a" / f"{index}.dcm", index)
    for resize, shape in (("stretch", [1, 20, 32]), ("pad", [1, 64, 80])):
        source = opened(tmp_path / "a", shape=shape, resize=resize, patients="file")
        found = images(source.train)
        assert list(found.shape[1:]) == shape and source.low <= found.min() and found.max() <= source.high
    assert (found[..., :8] == source.low).all()
    with pytest.raises(DataError, match="64x64 pixels, but 32x20"):
        images(opened(tmp_path / "a", shape=[1, 20, 32], patients="file").train)


# The libraries' own files


def test_every_file_that_pydicom_and_nibabel_ship_is_read_or_refused_in_one_line():
    refused, read = {}, {}
    files = [*SAMPLES.glob("*"), *VOLUMES.glob("*.nii*"), *(SAMPLES / "dicomdirtests").glob("DICOMDIR*")]
    for path in files:
        if not path.is_file():
            continue
        try:
            found = decoded_of(path.read_bytes(), path.name, "it", section("d"))
        except VaeError as error:
            refused[path.name] = str(error)
        else:
            read[path.name] = None if found is None else found.images.shape
    assert sum(shape is not None for shape in read.values()) > 45
    assert all(line.startswith("it ") and "\n" not in line for line in refused.values())
    assert "no decoder for it is installed" in refused["JPEGLSNearLossless_08.dcm"]
    assert all("truncated or corrupt" in refused[name] for name in ("MR_truncated.dcm", "no_meta.dcm", "priv_SQ.dcm"))
    assert read["rtplan.dcm"] is read["DICOMDIR"] is read["waveform_ecg.dcm"] is None
    assert "one volume of 3 axes" in refused["functional.nii"]


# Patients


def test_a_patient_is_in_one_part(tmp_path):
    parts = split(opened(ward(tmp_path / "d")), 0)
    assert all(len(part.rows) for part in parts.values())
    patients = {name: {Path(scan).stem.split("_")[1] for scan in part.names} for name, part in parts.items()}
    assert sum(map(len, patients.values())) == 6 and len(set.union(*patients.values())) == 6


@pytest.mark.parametrize(
    ("patients", "message"),
    [("tag", "1 patient is both in train"), ({"pattern": r"Curie_(\d)"}, "1 patient is both in train")],
)
def test_planted_patients_on_both_sides_are_refused(patients, message, tmp_path):
    ward(tmp_path / "train")
    made(tmp_path / "test" / "a" / "Curie_3_other.dcm", 99, PatientID=f"{IDENTITY}-3")
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path / "train", test=str(tmp_path / "test"), patients=patients)
    assert "Curie" not in str(caught.value) and IDENTITY not in str(caught.value)


def test_a_table_names_patients_and_classes(tmp_path):
    names = [Path(scan).name for scan in sorted(map(str, ward(tmp_path / "d").rglob("*.dcm")))]
    rows = [f"{name},{'xyz'[index % 3]},{'ill' if index % 2 else 'well'}" for index, name in enumerate(names)]
    table = tables(tmp_path, rows)
    source = opened(tmp_path / "d", table=table, patients={"column": "who"}, labels={"column": "finding"})
    assert source.classes == ("ill", "well")
    assert source.groups["train"] == [row.split(",")[1] for row in rows]
    assert source.train.labels.tolist() == [index % 2 == 0 for index in range(len(rows))]
    for bad, message in (
        (rows[1:], "1 of 12 scans"),
        ([*rows, rows[0]], "names 1 scans twice"),
        ([*rows[:-1], f"{names[-1]},,ill"], "1 scans have nothing in the column 'who'"),
        ([*rows[:-1], "a,b"], "row 13 .* has 2 fields"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            opened(tmp_path / "d", table=tables(tmp_path, bad), patients={"column": "who"})
        assert "Curie" not in str(caught.value)


def test_a_class_that_would_name_a_patient_is_refused(tmp_path):
    for index in range(6):
        made(tmp_path / "d" / f"Curie{index // 2}" / f"{index}.dcm", index, PatientID=f"{IDENTITY}-{index // 2}")
    with pytest.raises(DataError, match=r"3 of 3 classes .* a class would name a patient") as caught:
        opened(tmp_path / "d", labels="folders")
    assert "Curie" not in str(caught.value)


# Identity


def test_nothing_of_a_header_or_a_name_is_in_what_is_prepared(tmp_path):
    fields = {
        "PatientBirthDate": "18671107",
        "ReferringPhysicianName": "Becquerel^Henri",
        "InstitutionName": "Sorbonne",
    }
    for index in range(8):
        made(tmp_path / "d" / ("ill", "well")[index % 2] / f"Curie_{index}.dcm", index, **fields,
             PatientID=f"{IDENTITY}-{index // 2}-{index % 2}")  # fmt: skip
    (tmp_path / "d" / "ill" / "Curie notes.Skłodowska").write_text("a file of another kind")
    shutil.copy(SAMPLES / "test-SR.dcm", tmp_path / "d" / "Curie_report.dcm")
    with filled_folder(tmp_path / "out") as folder:
        write(opened(tmp_path / "d", labels="folders"), folder, 0)
    prepared = Prepared.open(tmp_path / "out")
    assert prepared.card["dropped"] == {"file without an image as DICOM or NIfTI": 2}
    written = b"".join(
        path.read_bytes() + path.name.encode() for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    for planted in ("Curie", "Marie", IDENTITY, "18671107", "Becquerel", "Sorbonne", "Skłodowska", "report"):
        assert planted.encode() not in written


def broken(path, **fields):
    content = made(path, **fields).read_bytes()
    path.write_bytes(content[:-500])


def nifti(path, volume):
    image = nibabel.Nifti1Image(volume, np.eye(4))
    image.header["descrip"] = NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    image.to_filename(path)


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (broken, {}, "scan 1 of 1 of .* has pixels that are truncated or corrupt"),
        (lambda path: made(path, BurnedInAnnotation="YES"), {}, "burnt into its pixels"),
        (lambda path: made(path, PatientID=""), {}, "1 of 1 scans .* name no patient"),
        (lambda path: made(path, PhotometricInterpretation=NAME), {}, "photometric kind that isn't read"),
        (lambda path: made(path, WindowWidth=None, WindowCenter=None), {"window": "stored"}, "stores no window"),
        (lambda path: made(path, RescaleSlope=float("nan"), RescaleIntercept=0), {}, "NaN or infinity"),
        (made, {"shape": [3, 64, 64]}, "holds greys, and data.shape has 3 channels"),
        (made, {"patients": {"folder": 3}}, "no folder at the level data.patients, 3"),
        (made, {"patients": {"pattern": "Pierre"}}, "no match of data.patients, Pierre"),
        (lambda path: made(path, Rows=60000, Columns=60000), {}, "over 268,435,456 values"),
        (lambda path: nifti(path.with_suffix(".nii"), np.zeros((4, 4, 4, 3), np.int16)), {}, "one volume of 3 axes"),
        (lambda path: nifti(path.with_suffix(".nii"), np.full((4, 4, 4), np.nan)), {}, "NaN or infinity"),
        (lambda path: path.with_suffix(".nii.gz").write_bytes(b"\x1f\x8b" + NAME.encode()), {}, "corrupt .gz"),
        (lambda path: path.with_suffix(".nii").write_bytes(NAME.encode()), {}, "or none: leave it out"),
        (lambda path: path.with_suffix(".txt").write_text(NAME), {}, "holds no scans .* passed over: 1 x file without"),
    ],
)  # fmt: skip
def test_a_refusal_names_neither_file_nor_patient(make, changes, message, tmp_path):
    (tmp_path / "d").mkdir()
    make(tmp_path / "d" / "Curie.dcm")
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path / "d", **changes)
    assert "Curie" not in str(caught.value) and IDENTITY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_gzipped_file_of_endless_zeros_is_refused_before_memory_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(nifti_module, "LARGEST", 10_000)
    (tmp_path / "Curie.nii.gz").write_bytes(gzip.compress(bytes(10**6)))
    with pytest.raises(DataError, match=r"scan 1 of 1 .* over 268,435,456 values"):
        opened(tmp_path)


def test_an_archive_that_leads_outside_is_refused_without_its_paths(tmp_path):
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        archive.writestr("../Curie.dcm", b"")
    with pytest.raises(DataError, match="paths that lead out of it") as caught:
        opened(tmp_path / "d.zip")
    assert "Curie" not in str(caught.value)


def test_broken_scans_can_be_dropped_and_an_archive_is_read_where_it_is(tmp_path):
    ward(tmp_path / "d")
    broken(tmp_path / "d" / "Curie_broken.dcm")
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for path in (tmp_path / "d").rglob("*.dcm"):
            archive.write(path, path.relative_to(tmp_path))
    for place in ("d", "d.zip"):
        source = opened(tmp_path / place, corrupt="drop")
        assert len(source.train.rows) == 12 and source.dropped == {"truncated or corrupt scan": 1}


def test_the_libraries_warnings_are_not_heard(tmp_path, capsys, caplog):
    path = made(tmp_path / "a.dcm", PatientID=10 * IDENTITY)
    caplog.clear()
    opened(tmp_path)  # warnings are errors in tests
    assert caplog.text == "" and capsys.readouterr() == ("", "")
    with pytest.warns(UserWarning, match="exceeds the maximum length"):
        assert pydicom.dcmread(path).PatientID == 10 * IDENTITY


def test_a_package_that_lacks_is_named(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(libraries, "import_module", absent)
    with pytest.raises(MissingError, match=r"NIfTI files need the package nibabel.*vae-pipeline\[medical\]"):
        libraries.medical("nibabel")


# Sections


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [2, 8, 8]}, "1 channel"),
        ({"shape": [3, 8, 8], "window": "stored"}, "a window is of greys"),
        ({"labels": {"column": "finding"}}, "give the path of a CSV"),
        ({"table": "x.csv"}, "leave it out"),
        ({"patients": {"file": "x"}}, "give column, folder or pattern"),
        ({"slices": {"first": 0.7, "last": 0.3}}, "first must not be over last"),
        ({"window": {"level": 0, "width": 0}}, "greater than 0"),
        ({"test": "d", "split": {"duplicates": "together"}}, "take drop"),
    ],
)
def test_a_section_that_means_nothing_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        section("d", **changes)


def test_a_corrupt_scan_is_a_corrupt_file():
    with pytest.raises(CorruptFileError):
        decoded("MR_truncated.dcm")


@pytest.mark.parametrize("kept", [0, 20, 131, 300, 600, 1500, 4000])
def test_a_scan_that_was_cut_short_anywhere_is_told_or_counted(kept, tmp_path):
    ward(tmp_path / "d")
    (tmp_path / "d" / "cut.dcm").write_bytes(made(tmp_path / "whole" / "a.dcm").read_bytes()[:kept])
    with pytest.raises(CorruptFileError, match="truncated or corrupt"):
        opened(tmp_path / "d")
    assert opened(tmp_path / "d", corrupt="drop").dropped == {"truncated or corrupt scan": 1}


def test_patients_are_kept_as_numbers_that_name_nobody(tmp_path):
    (tmp_path / "data").mkdir()
    write(opened(ward(tmp_path / "d", patients=8, each=3)), tmp_path / "data", 0)
    data = Prepared.open(tmp_path / "data")
    for part in (data.train, data.valid, data.test):
        assert np.bincount(part.groups).tolist() == [3] * (len(part) // 3)
        assert part.groups[0] == 0  # by the order in which they come
