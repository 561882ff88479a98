"""Where on a sheet, and when in a film, an image stands."""

import numpy as np
import pytest
from PIL import Image, ImageSequence

from vae_pipeline.kinds.image.sheets import FILM_SIDE, SIDE, save_film, save_grid, save_heat_maps, save_pairs
from vae_pipeline.kinds.image.spec import ImageSpec

SPEC = ImageSpec((1, 2, 2), "float32", 0.0, 1.0, False)
GREYS = 20 * np.arange(12)
IMAGES = np.broadcast_to(GREYS[:, None, None, None] / 255, (12, 1, 2, 2)).astype(np.float32)
"""Twelve of one grey each: two rows of pairs, the second of which isn't full."""


def seen(path, shape):
    """The grey in the middle of each cell of a sheet of [rows, columns], and whether a picture is there at all."""
    with Image.open(path) as sheet:
        grey, alpha = (np.asarray(band) for band in sheet.convert("LA").split())
    down = np.flatnonzero(np.diff(np.pad(alpha.any(1).astype(int), 1)))
    across = np.flatnonzero(np.diff(np.pad(alpha.any(0).astype(int), 1)))
    tops, lefts = down[::2], across[::2]
    assert (len(tops), len(lefts)) == shape and set(down[1::2] - tops) == set(across[1::2] - lefts) == {SIDE}
    half = SIDE // 2
    return grey[np.ix_(tops + half, lefts + half)], tops


def test_a_grid_is_square_or_of_the_columns_that_are_asked_for(tmp_path):
    for columns, shape in ((None, (3, 4)), (6, (2, 6))):
        save_grid(tmp_path / "x.png", IMAGES, SPEC, columns)
        found, _ = seen(tmp_path / "x.png", shape)
        assert found.ravel().tolist() == GREYS.tolist()


@pytest.mark.parametrize("blank", [255, 0], ids=["reconstructions", "heat maps"])
def test_each_image_stands_above_its_own(tmp_path, blank):
    path = tmp_path / "x.png"
    if blank:
        save_pairs(path, IMAGES, 1 - IMAGES, SPEC)
        wanted = 255 - GREYS
    else:
        save_heat_maps(path, IMAGES, IMAGES, SPEC)  # the hottest is white
        wanted = np.rint(GREYS / GREYS.max() * 255)
    found, tops = seen(path, (4, 10))
    rows = np.full((2, 20), blank)
    rows[0, :12], rows[1, :12] = GREYS, wanted
    assert found.tolist() == rows.reshape(2, 2, 10).swapaxes(0, 1).reshape(4, 10).tolist()
    gaps = np.diff(tops) - SIDE
    assert gaps[1] > gaps[0] == gaps[2]  # pairs lie nearer to each other than to the next


def test_a_film_goes_there_and_back(tmp_path):
    save_film(tmp_path / "x.gif", IMAGES[[0, 4, 8]], SPEC)
    with Image.open(tmp_path / "x.gif") as film:
        frames = [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(film)]
    assert [frame[0, 0] for frame in frames] == [0, 80, 160, 80] and frames[0].shape == (FILM_SIDE, FILM_SIDE)
