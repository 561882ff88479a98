"""Pictures larger than a model's images, beside what `detect` says of each tile alone."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from vae_pipeline.cli.main import app
from vae_pipeline.kinds.image.decoding import read_whole
from vae_pipeline.kinds.image.pictures import save_picture, to_pixels
from vae_pipeline.kinds.store import Prepared
from vae_pipeline.runtime import Bundle
from vae_pipeline.runtime.patches import inspect
from vae_pipeline.system.errors import DataError


@pytest.fixture(scope="module")
def bundle(lane):
    return Bundle.load(lane.bundle)


@pytest.fixture(scope="module")
def images(lane):
    return Prepared.open(lane.data).test.x[:6]


def save(path, picture, spec):
    save_picture(path, to_pixels(picture, spec.low, spec.high))


def test_one_tile_is_what_detect_says_of_it(bundle, images):
    found, wanted = inspect(bundle, images[0]), bundle.detect(images[:1])
    np.testing.assert_allclose(found.heat_map, wanted.contributions[0].sum(0), rtol=1e-5, atol=1e-6)
    assert (found.p_value, found.scores.tolist()) == (wanted.p_value[0], wanted.score.tolist())


def test_tiles_that_do_not_overlap_lie_side_by_side(bundle, images):
    picture = np.concatenate([np.concatenate(list(images[row : row + 3]), axis=2) for row in (0, 3)], axis=1)
    found, wanted = inspect(bundle, picture, overlap=0), bundle.detect(images)
    side = images.shape[-1]
    assert found.corners.tolist() == [[top, left] for top in (0, side) for left in (0, side, 2 * side)]
    np.testing.assert_allclose(found.scores, wanted.score, rtol=1e-5, atol=1e-4)
    for (top, left), map_ in zip(found.corners, wanted.contributions.sum(1), strict=True):
        np.testing.assert_allclose(found.heat_map[top : top + side, left : left + side], map_, rtol=1e-4, atol=1e-4)
    assert found.p_value == min(1, 6 * wanted.p_value.min())
    assert found.hottest == wanted.score.argmax()


def test_a_pixel_of_several_tiles_has_their_weighted_mean(bundle, images):
    height, width = images.shape[-2:]
    picture = np.tile(images[0], (1, 2, 2))[:, : height + 3, : width + 1]
    found = inspect(bundle, picture, overlap=height - 2)
    assert found.corners.tolist() == [[top, left] for top in (0, 2, 3) for left in (0, 1)]
    tiles = np.stack([picture[:, top : top + height, left : left + width] for top, left in found.corners])
    maps = bundle.detect(tiles).contributions.sum(1)
    row, column = 4, 5
    weights = [
        min(row - top + 1, height - row + top) * min(column - left + 1, width - column + left)
        for top, left in found.corners
    ]
    values = [map_[row - top, column - left] for map_, (top, left) in zip(maps, found.corners, strict=True)]
    assert found.heat_map[row, column] == pytest.approx(np.average(values, weights=weights), rel=1e-4)


def test_many_tiles_are_judged_as_few_are(bundle, images, monkeypatch):
    picture = np.tile(images[0], (1, 2, 3))
    whole = inspect(bundle, picture)
    monkeypatch.setattr("vae_pipeline.runtime.patches.TILES", 2)
    np.testing.assert_allclose(inspect(bundle, picture).heat_map, whole.heat_map, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "overlap", "message"),
    [
        ((1, 11, 14), None, r"a picture of \[1, 11, 14\] was given; wanted \[1, 12 or more, 12 or more\]"),
        ((3, 16, 16), None, r"a picture of \[3, 16, 16\]"),
        ((16, 16), None, r"a picture of \[16, 16\]"),
        ((1, 16, 16), 12, "an overlap of 12 was given; wanted 0 to 11"),
    ],
)
def test_what_cannot_be_judged_is_refused(bundle, shape, overlap, message):
    with pytest.raises(DataError, match=message):
        inspect(bundle, np.zeros(shape), overlap)


def test_pictures_of_a_folder_get_rows_and_heat_maps(lane, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = Prepared.open(lane.data).spec
    plain = np.tile(images[0], (1, 1, 2))
    odd = plain.copy()
    odd[:, 3:6, 15:18] = spec.low + spec.high - odd[:, 3:6, 15:18]
    for name, picture in (("plain", plain), ("odd", odd)):
        save(tmp_path / f"photos/{name}.png", picture, spec)
    words = ["photos", "-o", "found.csv", "--heat-maps", "maps", "--overlap", "0"]
    assert CliRunner().invoke(app, ["inspect", str(lane.bundle), *words]).output == (
        "2 heat maps -> maps\n2 pictures -> found.csv\n"
    )
    found = pd.read_csv("found.csv").set_index("file")
    score = found.columns[3]
    assert found.loc["photos/odd.png", score] > found.loc["photos/plain.png", score]
    assert found.loc["photos/odd.png", "left"] == 12
    sheets = {path.stem: read_whole(path.read_bytes(), path.name, 1) for path in (tmp_path / "maps/photos").iterdir()}
    assert sheets.keys() == {"odd", "plain"}
    assert sheets["odd"].shape == (1, 16, 54)  # picture and map, and gaps of two pixels around them


def test_p_values_are_among_flawless_pictures(lane, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = Prepared.open(lane.data).spec
    for index, image in enumerate(images):
        save(tmp_path / f"flawless/{index}.png", np.tile(image, (1, 1, 2)), spec)
    save(tmp_path / "odd.png", np.tile(spec.high + spec.low - images[0], (1, 1, 2)), spec)
    words = ["inspect", str(lane.bundle), "odd.png", "flawless/0.png", "--normal", "flawless", "--alpha", "0.15"]
    odd, known = pd.read_csv(io.StringIO(CliRunner().invoke(app, words).output)).to_dict("records")
    assert (odd["p_value"], odd["alarm"]) == (pytest.approx(1 / 7, abs=1e-6), True)
    assert known["p_value"] >= 2 / 7 - 1e-6 and not known["alarm"]  # it is as anomalous as itself


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.npy"], "x.npy is no picture"),
        (["nowhere.png"], "nowhere.png isn't there: mend the path"),
        (["small.png"], "small.png: a picture of [1, 4, 12] was given"),
        (["a/x.png", "b/x.png", "--heat-maps", "maps"], "a/x.png and b/x.png would both have the heat map x.png"),
        (["a/x.png", "--heat-maps", "maps.png"], "name a folder"),
        (["a/x.png", "--normal", "b", "--alpha", "0.05"], "1 flawless pictures tell false-alarm rates from 0.5 to 1"),
        (["a/x.png", "--alpha", "0.0001"], "calibrated tiles tell false-alarm rates of pictures of 3 tiles from"),
    ],
)
def test_what_is_refused_in_a_line(lane, images, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", images)
    for name, picture in (("a/x", np.tile(images[0], (1, 1, 2))), ("b/x", images[0]), ("small", images[0][:, :4])):
        save(tmp_path / f"{name}.png", picture, Prepared.open(lane.data).spec)
    with pytest.raises(DataError, match=re.escape(message)):
        CliRunner().invoke(app, ["inspect", str(lane.bundle), *words], catch_exceptions=False)
    assert not (tmp_path / "maps").exists()
