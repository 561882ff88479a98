"""New images of a bundle as files: what they are, what each says of itself, and what is refused."""

import csv
import json
import sys

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.pixels import apply_rescale
from scipy.stats import kstest
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.kinds.image.synthetic_dicom import dicom_of
from vae_pipeline.kinds.spec import ImageSpec
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.augmentation import NewImages, Sources
from vae_pipeline.runtime.ways import ways
from vae_pipeline.system.errors import DataError
from vae_pipeline.system.files import sha256_of, tree_digest


@pytest.fixture(scope="module")
def bundle(conditional_lane):
    return Bundle.load(conditional_lane.bundle)


@pytest.fixture(scope="module")
def train(conditional_lane):
    return Prepared.open(conditional_lane.data).train


@pytest.fixture(scope="module")
def lying(train):
    """Training images of the class 1, in memory."""
    return train.x[np.flatnonzero(train.labels == 1)]


def augment(bundle, out, *words):
    result = CliRunner().invoke(app, ["augment", str(bundle.folder), "-o", str(out), *map(str, words)])
    return result.exit_code, str(result.exception or "") + result.output


def manifest(folder):
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def joined(stream, *counts):
    made = [stream(count) for count in counts]
    names = [name for name in ("x", "labels", "source", "other", "place") if getattr(made[0], name) is not None]
    return {name: np.concatenate([getattr(each, name) for each in made]) for name in names}


@pytest.mark.parametrize("how", ["prior", "posterior", "interpolation"])
def test_an_image_depends_on_seed_and_index_alone(how, bundle, lying):
    sources = None if how == "prior" else Sources(lying[:5])
    whole, parts = (joined(NewImages(bundle, how, 3, 1, sources), *counts) for counts in ([9], [2, 6, 1]))
    assert whole.keys() == parts.keys() and (whole["labels"] == 1).all()
    for name, values in whole.items():
        np.testing.assert_allclose(values, parts[name], atol=1e-3)  # a batch's size rounds otherwise
    other = joined(NewImages(bundle, how, 4, 1, sources), 9)
    assert not np.allclose(whole["x"], other["x"])


def test_prior_is_what_sample_draws(bundle):
    made = NewImages(bundle, "prior", 7, 0)(6)
    np.testing.assert_array_equal(made.x, bundle.sample(6, 7, [0] * 6))


def test_posterior_draws_lie_around_their_sources(bundle, lying, monkeypatch):
    seen = []
    rows = Bundle.rows
    monkeypatch.setattr(Bundle, "rows", lambda *of: (seen.append(of[2].get("z")), rows(*of))[1])
    made = NewImages(bundle, "posterior", 0, 1, Sources(lying[:40]), spread=0.5)(400)
    (z,) = [each for each in seen if each is not None]
    q = bundle.encode(lying[:40], [1] * 40)
    noise = (z - q.mean[made.source]) / (0.5 * np.exp(q.log_variance[made.source] / 2))
    assert kstest(noise.ravel(), "norm").pvalue > 0.01
    assert (np.bincount(made.source) == 10).all()
    still = NewImages(bundle, "posterior", 0, 1, Sources(lying[:4]), spread=0)(4)
    np.testing.assert_allclose(still.x, bundle.reconstruct(lying[:4], [1] * 4)[still.source], atol=1e-3)


def test_interpolation_stays_within_a_class(bundle, train):
    sources = Sources(train.x, train.labels)
    made = NewImages(bundle, "interpolation", 0, 0, sources)(30)
    assert (train.labels[made.source] == 0).all() and (train.labels[made.other] == 0).all()
    assert (made.source != made.other).all() and len(set(made.other)) > 20
    assert kstest(made.place, "uniform").pvalue > 0.01
    (path,) = ways(bundle, train.x[np.array([made.source[0], made.other[0]])], "spherical", 0)
    np.testing.assert_allclose(made.x[:1], path(made.place[:1]), atol=1e-3)


def test_a_model_that_knows_no_classes_leaves_those_of_the_sources(lane):
    bundle, train = Bundle.load(lane.bundle), Prepared.open(lane.data).train
    made = NewImages(bundle, "interpolation", sources=Sources(train.x, train.labels))(20)
    np.testing.assert_array_equal(made.labels, train.labels[made.source])
    np.testing.assert_array_equal(made.labels, train.labels[made.other])
    assert NewImages(bundle, "prior")(2).labels is None


def test_pictures_say_what_they_are(bundle, tmp_path):
    code, said = augment(bundle, tmp_path / "a", "-n", 11, "--label", "lying", "--seed", 2)
    assert code == 0 and "11 synthetic images -> " in said
    rows = manifest(tmp_path / "a")
    assert [row["file"] for row in rows] == [f"{at:02}.png" for at in range(11)]
    digest = sha256_of(bundle.folder / "bundle.json")
    with Image.open(tmp_path / "a" / "10.png") as picture:
        told = picture.text
        pixels = np.asarray(picture)
    assert told["synthetic"] == "true" and told["bundle_sha256"] == digest
    assert {name: told[name] for name in ("label", "class", "how", "seed", "index")} == {
        name: rows[10][name] for name in ("label", "class", "how", "seed", "index")
    }
    assert rows[10]["class"] == "lying" and rows[10]["index"] == "10" and rows[10]["source"] == ""
    expected = bundle.sample(11, 2, [1] * 11)[10, 0]
    assert np.abs(pixels - expected).max() <= 0.5 + 1e-3
    beside = json.loads((tmp_path / "a" / "synthetic.json").read_text())
    assert beside["synthetic"] is True and beside["count"] == 11 and beside["bundle_sha256"] == digest
    augment(bundle, tmp_path / "b", "-n", 11, "--label", "1", "--seed", 2)
    assert tree_digest(tmp_path / "a") == tree_digest(tmp_path / "b")


@pytest.mark.parametrize("form", ["png", "npz", "dicom"])
def test_no_name_of_a_source_is_anywhere(form, bundle, lying, tmp_path):
    folder = tmp_path / "DOE^JOHN"
    folder.mkdir()
    for name, image in zip("abc", lying, strict=False):
        Image.fromarray(image[0]).save(folder / f"19700101_{name}.png")
    words = ["-n", 5, "--label", 1, "--how", "interpolation", "--data", folder, "--format", form]
    for name in ("a", "b"):
        assert augment(bundle, tmp_path / name, *words) == (0, f"5 synthetic images -> {tmp_path / name}\n")
    assert tree_digest(tmp_path / "a") == tree_digest(tmp_path / "b")
    for file in (tmp_path / "a").iterdir():
        assert not any(word in file.name.encode() + file.read_bytes() for word in (b"DOE", b"JOHN", b"19700101"))


def test_an_archive_holds_all_columns(bundle, conditional_lane, train, tmp_path):
    words = ["-n", 7, "--label", 0, "--how", "posterior", "--data", conditional_lane.data, "--format", "npz"]
    assert augment(bundle, tmp_path / "a", *words, "--spread", 0.3)[0] == 0
    rows = manifest(tmp_path / "a")
    with np.load(tmp_path / "a" / "images.npz", allow_pickle=False) as held:
        assert held["images"].shape == (7, *bundle.spec.shape) and held["images"].dtype == np.uint8
        assert held["labels"].tolist() == [0] * 7 and held["index"].tolist() == list(range(7))
        assert [str(each) for each in held["source"]] == [row["source"] for row in rows]
        assert (train.labels[held["source"]] == 0).all()
        assert float(held["spread"]) == 0.3 and held["classes"].tolist() == ["upright", "lying"]
        assert bool(held["synthetic"]) and str(held["bundle_sha256"]) == sha256_of(bundle.folder / "bundle.json")
    sources = Sources(train.x, train.labels)
    made = NewImages(bundle, "posterior", 0, 0, sources, 0.3)(7)
    np.testing.assert_array_equal(held_images(tmp_path / "a"), np.rint(made.x).astype(np.uint8))
    assert {row["file"] for row in rows} == {"images.npz"} and {row["spread"] for row in rows} == {"0.3"}


def held_images(folder):
    with np.load(folder / "images.npz") as held:
        return held["images"]


def test_dicom_files_are_marked_and_nobodys(bundle, tmp_path):
    words = ["-n", 3, "--label", "upright"]
    assert augment(bundle, tmp_path / "a", *words, "--format", "dicom")[0] == 0
    augment(bundle, tmp_path / "b", *words)
    files = [pydicom.dcmread(tmp_path / "a" / f"{at}.dcm") for at in range(3)]
    one = files[1]
    assert one.SyntheticData == "YES" and one.ImageType == ["DERIVED", "SECONDARY"] and one.ConversionType == "SYN"
    assert one.file_meta.MediaStorageSOPClassUID == pydicom.uid.SecondaryCaptureImageStorage
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
    assert str(one.PatientName) == one.PatientID == "SYNTHETIC"
    people = [each.keyword for each in one if each.tag.group == 0x0010 and each.value]
    assert people == ["PatientName", "PatientID"] and not any(each.value for each in one if each.VR in ("DA", "TM"))
    assert len({file.SOPInstanceUID for file in files}) == 3 and len({file.SeriesInstanceUID for file in files}) == 1
    assert all(uid.is_valid for uid in (one.SOPInstanceUID, one.SeriesInstanceUID, one.StudyInstanceUID))
    told = json.loads(one.ImageComments)
    assert told["bundle_sha256"] == sha256_of(bundle.folder / "bundle.json") and told["class"] == "upright"
    assert (told["seed"], told["index"]) == (0, 1) and "label upright" in one.DerivationDescription
    with Image.open(tmp_path / "b" / "1.png") as picture:
        np.testing.assert_array_equal(one.pixel_array, np.asarray(picture))


@pytest.mark.parametrize(("channels", "dtype", "low", "high"), [(1, "float32", -1000.0, 400.0), (1, "uint8", 0, 1)])
def test_dicom_leads_back_to_the_datas_units(channels, dtype, low, high, tmp_path):
    spec = ImageSpec((channels, 3, 5), dtype, low, high, binary=False)
    image = np.random.default_rng(0).uniform(low, high, spec.shape).astype(np.float32)
    record = {"producer": "x", "of": "y", "how": "prior", "seed": 0, "index": 0, "bundle_sha256": "z"}
    (tmp_path / "x.dcm").write_bytes(dicom_of(image, spec, record))
    file = pydicom.dcmread(tmp_path / "x.dcm")
    bits = 16 if dtype == "float32" else 8
    assert file.BitsStored == bits
    np.testing.assert_allclose(
        apply_rescale(file.pixel_array, file), image[0], atol=0.51 * (high - low) / (2**bits - 1)
    )


def test_dicom_in_colour(tmp_path):
    spec = ImageSpec((3, 3, 5), "uint8", 0, 255, binary=False)
    image = np.random.default_rng(0).integers(0, 256, spec.shape)
    record = {"producer": "x", "of": "y", "how": "prior", "seed": 0, "index": 0, "bundle_sha256": "z", "class": "Ü"}
    (tmp_path / "x.dcm").write_bytes(dicom_of(image, spec, record))
    file = pydicom.dcmread(tmp_path / "x.dcm")
    np.testing.assert_array_equal(file.pixel_array, image.transpose(1, 2, 0))
    assert "label Ü" in file.DerivationDescription and len(file.PixelData) == 46


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "none was given: wanted one of upright (0), lying (1)"),
        (["--label", "2"], "labels ['2'] were given; wanted names or numbers of upright (0), lying (1)"),
        (["--label", "-1"], "upright (0), lying (1)"),
        (["--label", "0", "--how", "posterior"], "name them with --data"),
        (["--label", "0", "--data", "one.npy"], "prior begins with no image"),
        (["--label", "0", "--spread", "2"], "--spread 2 is of --how posterior"),
        (["--label", "0", "--how", "interpolation", "--data", "one.npy"], "needs two images at least"),
        (["--label", "0", "--how", "posterior", "--data", "wide.npy"], "wanted [examples"),
        (["--label", "0", "--how", "posterior", "--data", "nowhere"], "nowhere"),
        (["--label", "0", "--how", "posterior", "--data", "one.npy", "--spread", "inf"], "wanted a number from 0"),
    ],
)
def test_what_is_refused_writes_nothing(words, said, bundle, lying, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("one.npy", lying[:1])
    np.save("wide.npy", np.zeros((2, 1, 3, 90), np.uint8))
    code, message = augment(bundle, "out", "-n", 2, *words)
    assert code != 0 and said in message
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.npy", "wide.npy"]


def test_a_folder_that_is_there_is_left_alone(bundle, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "metrics.json").write_text("mine")
    code, message = augment(bundle, tmp_path / "out", "-n", 1, "--label", 0)
    assert code != 0 and "is there and isn't empty" in message
    assert (tmp_path / "out" / "metrics.json").read_text() == "mine"


def test_a_model_that_knows_no_classes_takes_no_label(lane, tmp_path):
    code, message = augment(Bundle.load(lane.bundle), tmp_path / "out", "-n", 1, "--label", 0)
    assert code != 0 and "isn't conditional on any: leave them out" in message


def test_other_data_than_the_models_are_refused(bundle, table_lane, tmp_path):
    words = ["-n", 1, "--label", 0, "--how", "posterior", "--data", table_lane.data]
    code, message = augment(bundle, tmp_path / "out", *words)
    assert code != 0 and "is a model of shape" in message


def test_dicom_without_its_package_is_refused_first(bundle, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    code, message = augment(bundle, tmp_path / "out", "-n", 1, "--label", 0, "--format", "dicom")
    assert code != 0 and "pip install 'vae-pipeline[medical]'" in message and not (tmp_path / "out").exists()


def test_an_image_more_than_is_wanted_is_no_image(bundle):
    with pytest.raises(DataError, match="at least 1 image"):
        NewImages(bundle, "prior", label=0)(0)
