"""An audit of files finds a copy machine out, whatever it wrote, and acquits honest files; it needs no model."""

import csv
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from tests.tables import mixed_frame, table_recipe
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.kinds.download import Finder
from vae_pipeline.kinds.parts import ImageSource, Part
from vae_pipeline.kinds.sources import open_source
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.kinds.table.frames import decode
from vae_pipeline.kinds.writing import write
from vae_pipeline.metrics.image_privacy import compared
from vae_pipeline.stages.audit import Asked, _found, audit
from vae_pipeline.system.errors import DataError, GateError
from vae_pipeline.system.settings import Settings


def noise(count, seed):
    """Images that have nothing in common."""
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 6, 6), np.uint8)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    source = ImageSource((1, 6, 6), "uint8", 0, 255, (), Part(noise(600, 0), None), 0.1, 0.4)
    write(source, folder, 0)
    return Prepared.open(folder)


@pytest.fixture(scope="module")
def rows(root, tmp_path_factory):
    base = tmp_path_factory.mktemp("rows")
    mixed_frame(900).to_csv(base / "mixed.csv", index=False)
    columns = {"id": "ignored", "fraud": "ignored"}
    data = table_recipe(root, base / "mixed.csv", label=None, one_class=False, columns=columns).data
    (base / "data").mkdir()
    write(open_source(data, Finder(base), 0), base / "data", 0)
    return Prepared.open(base / "data")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder that keeps the classifier of features from one audit to the next."""
    return tmp_path_factory.mktemp("home")


def audited(files, prepared, home, out=None, **asked):
    settings = Settings.model_construct(**{**Settings().model_dump(), "home": home})
    return audit(files, prepared.folder, out, Asked(**asked), settings, Console(quiet=True))


def command(*words):
    result = CliRunner().invoke(app, ["audit", *map(str, words)])
    return result, str(result.exception or "") + result.output


def listed(folder):
    with (folder / "copies.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_copy_machine_of_images_is_found_out(images, home, tmp_path):
    np.save(tmp_path / "made.npy", np.concatenate([noise(3, 9), images.train.x[:]]))
    bounds = {"membership_auc": 0.6, "copies": 0.0, "half_as_far": 0.0}
    found, broken = audited([tmp_path / "made.npy"], images, home, tmp_path / "out", most=bounds)
    count = len(images.train)
    assert found.figures["copies"] == count / (count + 3) and found.figures["copies_of_test"] == 0
    for space in ("pixels", "features"):
        assert found.figures[f"membership_auc_in_{space}_low"] > 0.9
        assert found.figures[f"half_as_far_in_{space}"] == pytest.approx(count / (count + 3), abs=0.02)
    spaces = [f"{name}_in_{space}" for name in ("membership_auc", "half_as_far") for space in ("pixels", "features")]
    assert set(broken) == {"copies", *spaces}
    exact = [each for each in listed(tmp_path / "out") if each["found"] == "copy"]
    assert [(int(each["row"]), int(each["training_row"])) for each in exact] == [(at + 3, at) for at in range(count)]
    page = (tmp_path / "out" / "index.html").read_text()
    assert f"{count:,} of {count + 3:,} images are copies" in page and page.count("data:image/png") == 2
    told = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert told["figures"] == found.figures and set(told["broken"]) == set(broken)


def test_the_membership_is_that_of_scikit_learns_neighbours(images, home, tmp_path):
    drawn = np.concatenate([noise(200, 5), images.train.x[:40]])
    np.save(tmp_path / "made.npy", drawn)
    found, _ = audited([tmp_path / "made.npy"], images, home, seed=3)
    near = NearestNeighbors(n_neighbors=1).fit(drawn.reshape(len(drawn), -1) / 255)
    members, others = (near.kneighbors(side.x[:].reshape(len(side), -1) / 255)[0][:, 0] for side in compared(images, 3))
    truth = np.r_[np.ones(len(members)), np.zeros(len(others))]
    area = roc_auc_score(truth, -np.r_[members, others].round(6))
    assert found.figures["membership_auc_in_pixels"] == pytest.approx(area, abs=1e-4)


def test_honest_images_are_acquitted(images, home, tmp_path):
    np.save(tmp_path / "made.npy", noise(400, 7))
    found, broken = audited(
        [tmp_path / "made.npy"], images, home, most={"membership_auc": 0.65, "copies": 0.0, "half_as_far": 0.0}
    )
    assert broken == {} and found.copies == []
    for space in ("pixels", "features"):
        assert found.figures[f"membership_auc_in_{space}_low"] < 0.5 < found.figures[f"membership_auc_in_{space}_high"]
        assert found.figures[f"nearer_than_any_test_in_{space}"] < 0.05


def test_a_near_copy_among_pictures_in_an_archive_is_named(images, home, tmp_path):
    """One picture of thirty is a training image whose values are moved by one level or two."""
    pixels = noise(30, 8)
    pixels[17] = np.clip(images.train.x[5].astype(int) + np.random.default_rng(0).integers(-2, 3, (1, 6, 6)), 0, 255)
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        for at, each in enumerate(pixels):
            Image.fromarray(each[0]).save(tmp_path / f"{at:02}.png")
            archive.write(tmp_path / f"{at:02}.png", f"{at:02}.png")
    found, _ = audited([tmp_path / "made.zip"], images, home)
    assert {(each.file[-6:], each.training_row) for each in found.copies if each.found == "pixels"} == {("17.png", 5)}
    assert found.figures["copies"] == 0


def test_values_of_a_mean_need_not_be_whole_numbers(images, home, tmp_path):
    np.save(tmp_path / "made.npy", images.train.x[:20] + np.float32(0.25) * (images.train.x[:20] < 255))
    found, _ = audited([tmp_path / "made.npy"], images, home)
    assert found.figures["copies"] == 1


def test_few_test_images_are_told_and_copies_are_found_all_the_same(home, tmp_path):
    source = ImageSource((1, 6, 6), "uint8", 0, 255, (), Part(noise(60, 0), None), 0.1, 0.2)
    (tmp_path / "few").mkdir()
    write(source, tmp_path / "few", 0)
    few = Prepared.open(tmp_path / "few")
    np.save(tmp_path / "made.npy", few.train.x[:5])
    found, broken = audited([tmp_path / "made.npy"], few, home, tmp_path / "out", most={"membership_auc": 0.6})
    assert found.figures["copies"] == 1 and len(found.copies) == 5
    assert "too few" in broken["membership_auc_in_pixels"]
    assert "100 are wanted" in found.figures["left_out"]["half_as_far_in_pixels"]
    for made, original in found.pairs.values():  # what needs no test image is shown all the same
        np.testing.assert_array_equal(made, original)
    assert {each.name for each in (tmp_path / "out").glob("*.png")} == {
        "closest_in_pixels.png", "closest_in_features.png",
    }  # fmt: skip
    assert (tmp_path / "out" / "index.html").read_text().count("data:image/png") == 2


def test_a_copy_machine_of_rows_is_found_out(rows, home, tmp_path):
    copied = decode(rows.spec.natural(rows.train.x[:]), rows.spec.columns)
    new = mixed_frame(50, seed=4).drop(columns=["id", "fraud"])[copied.columns]
    pd.concat([new, copied]).to_csv(tmp_path / "made.csv", index=False)
    found, broken = audited(
        [tmp_path / "made.csv"], rows, home, tmp_path / "out", most={"membership_auc": 0.6, "copies": 0.0}
    )
    assert found.figures["copies"] == pytest.approx(len(copied) / (len(copied) + 50))
    assert found.figures["membership_auc_low"] > 0.9 and found.figures["nearer_to_training"] > 0.8
    assert found.figures["disclosure"] > found.figures["disclosure_of_test"] + 0.2
    assert set(broken) == {"membership_auc", "copies"}
    first = listed(tmp_path / "out")[0]
    assert (first["row"], first["training_row"], first["found"]) == ("50", "0", "copy")
    assert "Values guessed" in (tmp_path / "out" / "index.html").read_text()


def test_honest_rows_of_another_file_are_acquitted(rows, home, tmp_path):
    mixed_frame(500, seed=6).drop(columns=["id", "fraud"]).to_parquet(tmp_path / "made.parquet")
    found, broken = audited([tmp_path / "made.parquet"], rows, home, most={"membership_auc": 0.65, "copies": 0.0})
    assert broken == {}
    assert found.figures["membership_auc_low"] < 0.5 < found.figures["membership_auc_high"]


def test_values_that_the_data_do_not_have_are_told(rows, home, tmp_path):
    frame = mixed_frame(60, seed=6).drop(columns=["id", "fraud"])
    frame.loc[:9, "country"] = "Norway"
    frame.to_csv(tmp_path / "some.csv", index=False)
    found, _ = audited([tmp_path / "some.csv"], rows, home)
    assert found.figures["unknown"] == {"country": 10}
    frame["country"] = "Norway"
    frame.to_csv(tmp_path / "all.csv", index=False)
    with pytest.raises(DataError, match="country holds no value that the data have"):
        audited([tmp_path / "all.csv"], rows, home)


def test_the_command_ends_as_a_gate_does_and_writes_what_it_found(rows, tmp_path):
    copied = decode(rows.spec.natural(rows.train.x[:]), rows.spec.columns)
    copied.to_csv(tmp_path / "made.csv", index=False)
    words = (tmp_path / "made.csv", "--data", rows.folder, "-o", tmp_path / "out", "--max-copies", "0.5")
    result, said = command(*words)
    assert isinstance(result.exception, GateError) and result.exception.exit_code == 1
    assert "copies is 1, over its max of 0.5" in said and (tmp_path / "out" / "index.html").exists()
    assert result.exception.found[0]["copies"] == 1
    result, said = command(*words[:-1], "1", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["found"][0]["copies"] == 1


@pytest.mark.parametrize(("words", "said"), [
    (("--max-near-copies", "0"), "near-copies are of images"),
    (("--out", "."), "overlap"),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused(words, said, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mixed_frame(60).drop(columns=["id", "fraud"]).to_csv("made.csv", index=False)
    result, found = command("made.csv", "--data", rows.folder, *words)
    assert result.exit_code != 0 and said in found
    assert sorted(each.name for each in tmp_path.iterdir()) == ["made.csv"]


def test_data_of_another_kind_are_refused(tmp_path):
    from vae_pipeline.kinds.audio.spec import AudioSpec

    spec = AudioSpec(1, 8, 8000)
    prepared = Prepared(tmp_path, spec, None, None, None, {})
    with pytest.raises(DataError, match="holds recordings, and an audit of files is of images and of rows"):
        _found([tmp_path / "made.npy"], prepared, Asked(), Settings())
